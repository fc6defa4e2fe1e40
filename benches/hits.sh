#!/usr/bin/env bash
# Measures cache hits per second and their latency (p50 and p99) for a JPEG of about 300 kB: POST, GET, and GET answered
# with 304. In the same run it measures nginx serving the same rendition as a static file, and SHA-256 over the upload.
# It also prints the server's processor time per request, which other load on the machine affects less than the rate.
#
#   benches/hits.sh [SECONDS]      needs wrk, nginx, curl and openssl (Debian: wrk nginx-light curl openssl)
#   BINARY=path benches/hits.sh    uses this binary instead of building target/release/pixcolor
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1-10}
connections=32
threads=2
for program in wrk nginx curl openssl; do
  command -v "$program" >/dev/null || { echo "hits.sh: $program is missing" >&2; exit 1; }
done
if [[ -z ${BINARY-} ]]; then
  cargo build --release --quiet
  BINARY=target/release/pixcolor
fi

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
# Rate limits are off, because one client sends all requests. Colour detection is off, because the upload is in colour.
export PIXCOLOR_QUOTA__ENABLED=false PIXCOLOR_ON_COLOUR=recolour
export HOME=$work PIXCOLOR_OUTPUT__JPEG_QUALITY=97 ROCKET_PORT=18080 ROCKET_ADDRESS=127.0.0.1

# At this quality the upload, which is the coloured sample, and its rendition have about 300 kB each.
"$BINARY" colorize static/sample.jpg --output "$work" >/dev/null
upload=$work/sample-coloured.jpg
"$BINARY" serve >"$work/pixcolor.log" 2>&1 &
pixcolor=$!
url=http://127.0.0.1:$ROCKET_PORT
curl --silent --fail --retry 20 --retry-connrefused --retry-delay 1 -o /dev/null "$url/healthz"
curl --silent --fail -D "$work/head" -o "$work/rendition.jpg" -H 'Content-Type: image/jpeg' --data-binary @"$upload" "$url/v1/colorize"
result=$(tr -d '\r' <"$work/head" | sed -n 's/^content-location: //Ip')
etag=$(tr -d '\r' <"$work/head" | sed -n 's/^etag: //Ip')

cat >"$work/post.lua" <<LUA
wrk.method = "POST"
local file = io.open("$upload", "rb")
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "image/jpeg"
LUA
cat >"$work/nginx.conf" <<NGINX
worker_processes auto;
daemon off;
pid $work/nginx.pid;
error_log stderr;
events {}
http {
  access_log $work/nginx.log;
  types { image/jpeg jpg; }
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi;
  scgi_temp_path $work/scgi;
  server { listen 127.0.0.1:18081; root $work; }
}
NGINX
chmod 755 "$work"
chmod 644 "$work/rendition.jpg"
nginx -c "$work/nginx.conf" 2>"$work/nginx.err" &
nginx=$!
curl --silent --fail --retry 20 --retry-connrefused --retry-delay 1 -o /dev/null http://127.0.0.1:18081/rendition.jpg

bytes() { stat --format %s "$1"; }
cores=$(nproc)
echo "upload $(bytes "$upload") bytes, rendition $(bytes "$work/rendition.jpg") bytes"
echo "$cores cores, shared with wrk: $threads threads, $connections connections, $seconds s each"
printf '%-34s %10s %9s %9s %12s\n' '' 'per second' p50 p99 'CPU, us each'

# Prints the processor time of a process and its children so far, in ticks.
ticks() {
  local stats=(/proc/"$1"/stat) child
  for child in $(cat /proc/"$1"/task/*/children); do stats+=(/proc/"$child"/stat); done
  awk '{ sum += $14 + $15 } END { print sum }' "${stats[@]}"
}

# Arguments: a name, the server's process ID, the arguments of wrk. Fails if a response has the wrong status.
measure() {
  local name=$1 server=$2 said before after
  shift 2
  before=$(ticks "$server")
  said=$(wrk --latency -t$threads -c$connections -d"${seconds}s" "$@")
  after=$(ticks "$server")
  if grep -q 'Non-2xx or 3xx\|Socket errors' <<<"$said"; then
    echo "hits.sh: $name: $said" >&2
    exit 1
  fi
  printf '%-34s %10.0f %9s %9s %12.0f\n' "$name" "$(awk '/Requests\/sec/ { print $2 }' <<<"$said")" \
    "$(awk '$1 == "50%" { print $2 }' <<<"$said")" "$(awk '$1 == "99%" { print $2 }' <<<"$said")" \
    "$(awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" \
      '/ requests in / { print ticks / hertz * 1e6 / $1 }' <<<"$said")"
}

measure 'POST /v1/colorize' $pixcolor -s "$work/post.lua" "$url/v1/colorize"
measure 'GET /v1/results/{digest}' $pixcolor "$url$result"
measure 'GET /v1/results/sha256/{...}' $pixcolor "$url/v1/results/sha256/$(sha256sum "$upload" | cut -d' ' -f1)"
measure 'POST /v1/colorize, as JSON' $pixcolor -s "$work/post.lua" -H 'Accept: application/json' "$url/v1/colorize"
measure '304' $pixcolor -H "If-None-Match: $etag" "$url$result"
measure 'nginx, static file' $nginx http://127.0.0.1:18081/rendition.jpg
measure 'nginx, 304' $nginx -H "If-None-Match: $(curl -sI http://127.0.0.1:18081/rendition.jpg | tr -d '\r' | sed -n 's/^ETag: //p')" \
  http://127.0.0.1:18081/rendition.jpg

# Exactly one request must have been a cache miss, the first one. Otherwise the numbers are not those of cache hits.
calls=$(curl --silent --fail "$url/metrics" | awk '/^pixcolor_renditions_total\{origin="miss"\}/ { print $2 }')
[[ ${calls%.*} == 1 ]] || { echo "hits.sh: $calls requests were cache misses instead of 1" >&2; exit 1; }

speed=$(openssl speed -seconds 3 -bytes "$(bytes "$upload")" -evp sha256 2>/dev/null | awk 'END { print $NF }')
per_core=$(awk -v speed="${speed%k}" -v bytes="$(bytes "$upload")" 'BEGIN { print speed * 1000 / bytes }')
printf '%-34s %10.0f %9s %9s %12.0f\n' "SHA-256 of the upload, $cores cores" \
  "$(awk -v n="$per_core" -v c="$cores" 'BEGIN { print n * c }')" '' '' "$(awk -v n="$per_core" 'BEGIN { print 1e6 / n }')"
