# syntax=docker/dockerfile:1
# docker build -t s3-tier-proxy --build-arg REVISION=$(git rev-parse HEAD) .
# docker run -p 9000:9000 -p 9001:9001 -v proxy-data:/data --stop-timeout 55 s3-tier-proxy [--backend-endpoint http://minio:9000 ...]
#
# A stop takes up to 52 s (S3:ShutdownTimeout, 20 s to close the files, 2 s for the admin side); without --stop-timeout Docker kills after 10.
# A configuration file is read as /data/config/proxy.json, or where --config says: -v /srv/proxy/config:/data/config:ro. The folder and not the file, or an edit is not seen.
# The ENV below beats it: S3:Listen, Admin:Listen, Admin:AllowPlainHttp and Data of a file do nothing here; -e and flags do.
# Folders of the host must belong to the image's user: chown -R 1654:1654 /srv/proxy. A named volume does by itself.

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
# Project files first: the restore is repeated only when one of them changes.
COPY global.json Directory.Build.props Directory.Packages.props BannedSymbols.txt .editorconfig ./
COPY src/Proxy.S3/Proxy.S3.csproj src/Proxy.S3/
COPY src/Proxy.Cache/Proxy.Cache.csproj src/Proxy.Cache/
COPY src/Proxy.Backends/Proxy.Backends.csproj src/Proxy.Backends/
COPY src/Proxy.Server/Proxy.Server.csproj src/Proxy.Server/
# Compiled ahead for this machine: the first requests after a start need not wait for the compiler.
RUN dotnet restore src/Proxy.Server/Proxy.Server.csproj --use-current-runtime -p:PublishReadyToRun=true
COPY src src
# What s3_proxy_build_info says it was built from: there is no git in here. Left out, it says "unknown".
ARG REVISION
RUN dotnet publish src/Proxy.Server/Proxy.Server.csproj -c Release --no-restore --use-current-runtime --no-self-contained -p:PublishReadyToRun=true -p:SourceRevisionId=$REVISION -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
COPY --from=build /app /app
# The base image's own unprivileged user; a named volume takes over the folder's owner.
RUN mkdir /data && chown $APP_UID:$APP_UID /data
USER $APP_UID
WORKDIR /data
VOLUME /data
# Inside a container loopback would be nobody's: what is reachable from outside is decided by -p and networks.
ENV S3__Listen=0.0.0.0:9000 \
    Admin__Listen=0.0.0.0:9001 \
    Admin__AllowPlainHttp=true \
    Data=/data
EXPOSE 9000 9001
# The base image has no curl: the server asks itself, by HTTPS where Admin:Tls is set.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --start-interval=1s --retries=3 \
    CMD ["dotnet", "/app/Proxy.Server.dll", "health", "--admin", "127.0.0.1:9001"]
ENTRYPOINT ["dotnet", "/app/Proxy.Server.dll"]
