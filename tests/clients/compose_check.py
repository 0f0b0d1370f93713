"""compose_check.py DIR: checks what the compose files in DIR claim.

Each *.yml parses, and Milvus's service in it is Milvus's own with another MINIO_ADDRESS. What is compared with: milvus-standalone-docker-compose.yml as the releases 2.6 of milvus-io/milvus
carry it (the file in that repository's tree, deployments/docker/standalone, is still 2.5's: with MINIO_REGION, and no MQ_TYPE). docker-compose.monitoring.yaml, which is added to one of
them, mounts what is there and scrapes the service that they have. Exit code 1 on a difference.
"""
import glob
import os
import sys

import yaml

OFFICIAL = {
    "container_name": "milvus-standalone",
    "command": ["milvus", "run", "standalone"],
    "security_opt": ["seccomp:unconfined"],
    "environment": {"ETCD_ENDPOINTS": "etcd:2379", "MINIO_ADDRESS": "minio:9000", "MQ_TYPE": "woodpecker"},
    "volumes": ["${DOCKER_VOLUME_DIRECTORY:-.}/volumes/milvus:/var/lib/milvus"],
    "healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost:9091/healthz"], "interval": "30s", "start_period": "90s",
                    "timeout": "20s", "retries": 3},
    "ports": ["19530:19530", "9091:9091"],
}


def version(image):
    """Of an image, or of what "${NAME:-image}" is without NAME."""
    return image.rpartition(":-")[2].rstrip("}").rpartition("/")[2].partition(":")[2]


def differences(path):
    with open(path, encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    milvus, proxy = dict(services["standalone"]), services["proxy"]
    if ":v2.6." not in milvus.pop("image"):
        yield "the Milvus image is not a 2.6"
    if set(milvus.pop("depends_on")) != {"etcd", "proxy"}:
        yield "Milvus does not wait for etcd and the proxy alone"
    changed = {name for name in milvus["environment"].keys() | OFFICIAL["environment"].keys()
               if milvus["environment"].get(name) != OFFICIAL["environment"].get(name)}
    if changed != {"MINIO_ADDRESS"}:
        yield f"Milvus's environment differs in {sorted(changed)}, not in MINIO_ADDRESS alone"
    if milvus["environment"].get("MINIO_ADDRESS") != "proxy:9000":
        yield "MINIO_ADDRESS is not the proxy"
    for key in (milvus.keys() | OFFICIAL.keys()) - {"environment"}:
        if milvus.get(key) != OFFICIAL.get(key):
            yield f"Milvus's {key} is not the official one"
    if [port for port in proxy["ports"] if not port.startswith("127.0.0.1:")]:
        yield "the proxy's ports are open to the network, with keys that everybody knows"
    for name, service in services.items():
        if "build" not in service and version(service["image"]) in ("", "latest"):
            yield f"{name}'s image has no version"
        for other in service.get("depends_on", {}):
            if other not in services:
                yield f"{name} depends on {other}, which is not there"
    endpoint = proxy["environment"].get("Backend__Endpoints__0")
    if endpoint and endpoint.startswith("http://") and endpoint.split("/")[2].split(":")[0] not in services:
        yield f"the proxy's backend {endpoint} is no service of the file"


def monitoring_mistakes(path):
    with open(path, encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    mounted = {}
    for name, service in services.items():
        if version(service["image"]) in ("", "latest"):
            yield f"{name}'s image has no version"
        for volume in service["volumes"]:
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                mounted[target] = os.path.join(os.path.dirname(path), source)
                if not os.path.exists(mounted[target]):
                    yield f"{name} mounts {source}, which is not there"
    with open(mounted["/etc/prometheus/prometheus.yml"], encoding="utf-8") as file:
        targets = [target for job in yaml.safe_load(file)["scrape_configs"] for group in job["static_configs"] for target in group["targets"]]
    if targets != ["proxy:9001"]:
        yield f"Prometheus scrapes {targets}, not the proxy's admin port"
    if services["grafana"]["environment"].get("PROMETHEUS_URL") != "http://prometheus:9090":
        yield "Grafana does not ask the Prometheus beside it"


def main():
    folder = sys.argv[1]
    files = sorted(glob.glob(os.path.join(folder, "*.yml")))
    wrong = [f"{os.path.basename(path)}: {text}" for path in files for text in differences(path)]
    monitoring = os.path.join(folder, "docker-compose.monitoring.yaml")
    wrong += [f"{os.path.basename(monitoring)}: {text}" for text in monitoring_mistakes(monitoring)]
    print("\n".join(wrong) or f"{len(files)} compose files and the one for monitoring are as they claim")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
