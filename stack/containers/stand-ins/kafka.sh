#!/bin/bash
# Stands in for the entry point of the official apache/kafka image: KAFKA_A_B=c becomes a.b=c of a node's properties.
set -euo pipefail
[ $# -eq 0 ] || exec "$@"
properties=/etc/kafka/server.properties
{
  [ -n "${KAFKA_LOG_DIRS-}" ] || echo 'log.dirs=/var/lib/kafka/data'
  env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
    echo "$(echo "$name" | tr 'A-Z_' 'a-z.')=$value"
  done
} >"$properties"
java() { command java -cp '/opt/kafka/libs/*' "$@"; }
java kafka.tools.StorageTool format --ignore-formatted -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$properties"
exec java -Xms256m -Xmx512m -Dorg.apache.logging.log4j.level=WARN -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"
