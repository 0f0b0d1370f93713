#!/usr/bin/env bash
# ceph-rgw.sh DIR PORT: one Ceph object gateway on 127.0.0.1:PORT over an in-memory store, for as long as this script runs.
#
# A monitor, one OSD (memstore) and radosgw, all on loopback, all files in DIR, no root needed, no authentication inside the
# cluster. Prints "READY http://127.0.0.1:PORT" when S3 answers minioadmin/minioadmin. End it with SIGTERM or by closing
# its stdin: the daemons go with it and DIR is left for its logs. PORT+1 and PORT+2 are the monitor's.
# Needs Debian's ceph-mon, ceph-osd, radosgw, curl.
set -euo pipefail
dir=$1 port=$2
conf=$dir/ceph.conf
mkdir -p "$dir"/{log,run}
daemons=()
finish() {
  trap - EXIT TERM INT
  # Last started first: the gateway must not wait for an OSD that is gone.
  local i
  for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do kill "${daemons[i]}" 2>/dev/null || true; done
  for ((i = 0; i < 50; i++)); do
    local alive=0 pid
    for pid in "${daemons[@]}"; do kill -0 "$pid" 2>/dev/null && alive=1; done
    [ $alive = 0 ] && exit 0
    sleep 0.1
  done
  kill -9 "${daemons[@]}" 2>/dev/null || true
  exit 0
}
trap finish EXIT TERM INT

until_true() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { echo "gave up on: $*; see $dir/log" >&2; return 1; }
    sleep 0.3
  done
}
start() { # NAME COMMAND...
  local name=$1; shift
  "$@" >>"$dir/log/$name.out" 2>&1 </dev/null &
  daemons+=($!)
}

fsid=$(cat /proc/sys/kernel/random/uuid)
cat >"$conf" <<C
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$((port + 1))/0,v1:127.0.0.1:$((port + 2))/0]
mon_initial_members = a
public_addr = 127.0.0.1
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# Without cephx there are no keys for the encrypted monitor session radosgw asks for by default.
ms_mon_client_mode = crc
ms_mon_service_mode = crc
ms_mon_cluster_mode = crc
mon_data = $dir/mon
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_osd_full_ratio = 0.97
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_max_object_name_len = 2048
osd_class_load_list = *
osd_class_default_list = *
run_dir = $dir/run
admin_socket = $dir/run/\$name.asok
log_file = $dir/log/\$name.log
crash_dir = $dir/run
setuser_match_path =
[client.rgw]
rgw_data = $dir/run
keyring = $dir/none
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
C
ceph_() { timeout 20 ceph -c "$conf" --connect-timeout 10 "$@"; }

monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$((port + 1))/0,v1:127.0.0.1:$((port + 2))/0]" "$dir/monmap" >"$dir/log/setup.out" 2>&1
ceph-mon -c "$conf" --mkfs -i a --monmap "$dir/monmap" >>"$dir/log/setup.out" 2>&1
start mon ceph-mon -c "$conf" -i a -f
until_true 30 ceph_ mon stat
mkdir -p "$dir/osd"
uuid=$(cat /proc/sys/kernel/random/uuid)
ceph_ osd new "$uuid" 0 >>"$dir/log/setup.out" 2>&1
ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$uuid" >>"$dir/log/setup.out" 2>&1
start osd ceph-osd -c "$conf" -i 0 -f
osd_is_up() { ceph_ osd stat | grep -q '1 up'; }
until_true 60 osd_is_up
start rgw radosgw -c "$conf" -n client.rgw -f
until_true 120 curl -s -o "$dir/log/curl.out" --max-time 2 "http://127.0.0.1:$port/"
radosgw-admin -c "$conf" user create --uid=main --display-name=main --access-key=minioadmin --secret=minioadmin >>"$dir/log/setup.out" 2>&1
echo "READY http://127.0.0.1:$port"
# The caller's closing of stdin, also by its own death, ends this.
cat >/dev/null || true
