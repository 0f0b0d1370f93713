"""compose_check.py DIR: checks what the compose files in DIR claim.

Each parses, and Milvus's service in it is Milvus's own with another MINIO_ADDRESS. What is compared with: deployments/docker/standalone/docker-compose.yml of milvus-io/milvus,
release 2.6. Exit code 1 on a difference.
"""
import glob
import os
import sys

import yaml

OFFICIAL = {
    "container_name": "milvus-standalone",
    "command": ["milvus", "run", "standalone"],
    "security_opt": ["seccomp:unconfined"],
    "environment": {"MINIO_REGION": "us-east-1", "ETCD_ENDPOINTS": "etcd:2379", "MINIO_ADDRESS": "minio:9000"},
    "volumes": ["${DOCKER_VOLUME_DIRECTORY:-.}/volumes/milvus:/var/lib/milvus"],
    "healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost:9091/healthz"], "interval": "30s", "start_period": "90s",
                    "timeout": "20s", "retries": 3},
    "ports": ["19530:19530", "9091:9091"],
}


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
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            if other not in services:
                yield f"{name} depends on {other}, which is not there"
    endpoint = proxy["environment"].get("Backend__Endpoints__0")
    if endpoint and endpoint.startswith("http://") and endpoint.split("/")[2].split(":")[0] not in services:
        yield f"the proxy's backend {endpoint} is no service of the file"


def main():
    folder = sys.argv[1]
    files = sorted(glob.glob(os.path.join(folder, "*.yml")))
    wrong = [f"{os.path.basename(path)}: {text}" for path in files for text in differences(path)]
    print("\n".join(wrong) or f"{len(files)} compose files are as they claim")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
