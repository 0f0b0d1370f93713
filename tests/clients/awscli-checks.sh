#!/usr/bin/env bash
# awscli-checks.sh ENDPOINT ACCESS SECRET: what people do with the AWS command line, in a bucket of its own.
# Prints "PASS name" or "FAIL name - why" for each check; exit code 1 when any failed.
set -u
endpoint=$1
export AWS_ACCESS_KEY_ID=$2 AWS_SECRET_ACCESS_KEY=$3 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=2 AWS_PAGER=
work=$(mktemp -d "${TMPDIR:-/tmp}/awscli-checks.XXXXXX")
trap 'rm -rf "$work"' EXIT
export AWS_CONFIG_FILE=$work/config AWS_SHARED_CREDENTIALS_FILE=$work/credentials
printf '[default]\ns3 =\n    signature_version = s3v4\n    addressing_style = path\n    multipart_threshold = 8MB\n    multipart_chunksize = 8MB\n' >"$work/config"
bucket=awscli-$$-$RANDOM

# Sixty commands in a row: where the python that runs them is known they are forked off one that has loaded everything (aws_fork.py), which takes a fifth of the time.
version=$(aws --version 2>&1 | cut -d' ' -f1)
here=$(cd "$(dirname "$0")" && pwd)
for python in $(type -P python3) /usr/bin/python3; do
  [ "$("$python" -c 'import awscli; print("aws-cli/" + awscli.__version__)' 2>/dev/null)" = "$version" ] || continue
  coproc FORKS { exec "$python" "$here/aws_fork.py" serve "$work/forks"; }
  read -r -t 60 -u "${FORKS[0]}" said && [ "$said" = ready ] && aws() { "$python" -S -E "$here/aws_fork.py" run "$work/forks" "$@"; }
  break
done
passed=0 failed=0

s3() { aws --endpoint-url "$endpoint" s3 "$@"; }
api() { local command=$1; shift; aws --endpoint-url "$endpoint" s3api "$command" --bucket "$bucket" "$@"; }
# refused WORD COMMAND...: the command must fail and say WORD.
refused() {
  local words=$1 word said; shift
  if said=$("$@" 2>&1); then echo "was not refused"; return 1; fi
  for word in ${words//|/ }; do case $said in *"$word"*) return 0 ;; esac; done
  echo "said: $said"; return 1
}
# check NAME FUNCTION: every command in the function must succeed.
check() {
  local said status
  said=$(set -e; "$2" 2>&1); status=$?
  if [ $status -eq 0 ]; then passed=$((passed + 1)); echo "PASS $1"
  else failed=$((failed + 1)); echo "FAIL $1 - $(tail -n 2 <<<"$said" | tr '\n' ' ' | cut -c1-300)"; fi
}

echo 'a few bytes' >"$work/small"
: >"$work/empty"
head -c 345678 /dev/urandom >"$work/medium"
head -c $(((20 << 20) + 77)) /dev/urandom >"$work/large"

make_bucket() { api create-bucket; api head-bucket; s3 ls | grep -q "$bucket"; }
put_get() { api put-object --key a/medium --body "$work/medium" --content-type text/x-check --metadata one=1; api get-object --key a/medium "$work/back"; cmp "$work/medium" "$work/back"; }
head_metadata() { api head-object --key a/medium --query '[ContentLength,ContentType,Metadata.one]' --output text | grep -qx "345678	text/x-check	1"; }
put_empty() { api put-object --key a/empty --body "$work/empty"; api get-object --key a/empty "$work/back"; cmp "$work/empty" "$work/back"; }
ranges() {
  api get-object --key a/medium --range bytes=1000-69999 "$work/back"; cmp "$work/back" <(tail -c +1001 "$work/medium" | head -c 69000)
  api get-object --key a/medium --range bytes=-65536 "$work/back"; cmp "$work/back" <(tail -c 65536 "$work/medium")
}
range_past_end() { refused InvalidRange api get-object --key a/medium --range bytes=345678- "$work/back"; }
missing() { refused NoSuchKey api get-object --key absent "$work/back"; refused 404 api head-object --key absent; }
conditional() {
  local tag; tag=$(api head-object --key a/medium --query ETag --output text)
  api get-object --key a/medium --if-match "$tag" "$work/back"
  refused 304 api get-object --key a/medium --if-none-match "$tag" "$work/back"
  refused '412|PreconditionFailed' api get-object --key a/medium --if-match '"00000000000000000000000000000000"' "$work/back"
}
multipart() {
  s3 cp --no-progress "$work/large" "s3://$bucket/m/large"
  api head-object --key m/large --query ETag --output text | grep -q -- '-3"'
  s3 cp --no-progress "s3://$bucket/m/large" "$work/back"; cmp "$work/large" "$work/back"
}
multipart_by_hand() {
  local id tag; id=$(api create-multipart-upload --key m/hand --query UploadId --output text)
  tag=$(api upload-part --key m/hand --upload-id "$id" --part-number 1 --body "$work/medium" --query ETag --output text)
  api list-parts --key m/hand --upload-id "$id" --query 'Parts[].Size' --output text | grep -qx 345678
  api complete-multipart-upload --key m/hand --upload-id "$id" --multipart-upload "Parts=[{ETag=$tag,PartNumber=1}]"
  api get-object --key m/hand "$work/back"; cmp "$work/medium" "$work/back"
}
multipart_abort() {
  local id; id=$(api create-multipart-upload --key m/gone --query UploadId --output text)
  api abort-multipart-upload --key m/gone --upload-id "$id"
  refused NoSuchUpload api list-parts --key m/gone --upload-id "$id"
}
sync_tree() {
  local d n; for d in x y; do mkdir -p "$work/tree/$d"; for n in 1 2 3 4; do echo "$d$n" >"$work/tree/$d/$n"; done; done
  s3 sync --no-progress "$work/tree" "s3://$bucket/tree"; s3 sync --no-progress "s3://$bucket/tree" "$work/tree2"; diff -r "$work/tree" "$work/tree2"
}
list_v1() { [ "$(api list-objects --prefix tree/ --page-size 3 --query 'Contents[].Key' --output text | tr '\t' '\n' | grep -c tree/)" = 8 ]; }
list_v2() { [ "$(api list-objects-v2 --prefix tree/ --page-size 3 --query 'Contents[].Key' --output text | tr '\t' '\n' | grep -c tree/)" = 8 ]; [ "$(s3 ls "s3://$bucket/tree/" | grep -c PRE)" = 2 ]; }
copy_move() {
  s3 cp --no-progress "s3://$bucket/a/medium" "s3://$bucket/c/1"; s3 mv --no-progress "s3://$bucket/c/1" "s3://$bucket/c/2"
  refused 404 api head-object --key c/1; api head-object --key c/2 --query Metadata.one --output text | grep -qx 1
}
copy_large() { s3 cp --no-progress "s3://$bucket/m/large" "s3://$bucket/c/large"; s3 cp --no-progress "s3://$bucket/c/large" - | cmp - "$work/large"; }
presign() { curl -sf "$(s3 presign "s3://$bucket/a/medium" --expires-in 120)" | cmp - "$work/medium"; }
unicode() {
  local key; for key in 'u/αβ/漢字' 'u/🦊' 'u/a b+c&d=e?f#g' 'u/100%25'; do
    api put-object --key "$key" --body "$work/small"; api get-object --key "$key" "$work/back"; cmp "$work/small" "$work/back"
  done
  [ "$(api list-objects-v2 --prefix u/ --query 'length(Contents)')" = 4 ]
}
tagging() { api put-object-tagging --key a/medium --tagging 'TagSet=[{Key=team,Value=blue}]'; api get-object-tagging --key a/medium --query 'TagSet[0].Value' --output text | grep -qx blue; }
checksums() {
  api put-object --key k/sha --body "$work/medium" --checksum-algorithm SHA256
  api get-object --key k/sha --checksum-mode ENABLED "$work/back" --query ChecksumSHA256 --output text | grep -qx "$(openssl dgst -sha256 -binary "$work/medium" | base64)"
}
bad_credentials() {
  AWS_SECRET_ACCESS_KEY=wrong refused SignatureDoesNotMatch api list-objects-v2
  AWS_ACCESS_KEY_ID=NOBODYNOBODYNOBODY00 refused InvalidAccessKeyId api list-objects-v2
  refused AccessDenied api list-objects-v2 --no-sign-request
}
delete_many() { [ "$(api delete-objects --delete 'Objects=[{Key=tree/x/1},{Key=tree/x/2},{Key=never}]' --query 'length(Deleted)')" = 3 ]; }
delete_all() { refused BucketNotEmpty api delete-bucket; s3 rb --force "s3://$bucket"; refused 404 api head-bucket; }

check make-bucket make_bucket
check put-get put_get
check head-metadata head_metadata
check put-empty put_empty
check ranges ranges
check range-past-end range_past_end
check missing missing
check conditional conditional
check multipart multipart
check multipart-by-hand multipart_by_hand
check multipart-abort multipart_abort
check sync-tree sync_tree
check list-v1 list_v1
check list-v2 list_v2
check copy-move copy_move
check copy-large copy_large
check presign presign
check unicode unicode
check tagging tagging
check checksums checksums
check bad-credentials bad_credentials
check delete-many delete_many
check delete-all delete_all
echo "$version: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
