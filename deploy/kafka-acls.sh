#!/bin/sh
# Gives each process of Firstcall the rights on Kafka that it needs, and no others. For a cluster whose brokers have an authorizer;
# run it once before `firstcall migrate`, and again after a change of the definitions, with the same settings as Firstcall:
#
#   BOOTSTRAP=kafka-1:9092 COMMAND_CONFIG=admin.properties APP_ID=firstcall TOPIC_PREFIX= sh kafka-acls.sh
#
# Users: firstcall-migrate, -worker, -sink, -alerts, and -producer for clients that send events. Commands of an operator (doctor, import, rebuild,
# dead-letters, erase) run as firstcall-operator. One user may be all of them: it then has the rights of all.
# COMMAND is Kafka's own tool, where it is not on the path.
set -eu
: "${BOOTSTRAP:?host:port of a broker}"
APP_ID=${APP_ID:-firstcall}
TOPIC_PREFIX=${TOPIC_PREFIX:-}
OWN="$TOPIC_PREFIX$APP_ID-"

allow() {
  user=$1
  shift
  "${COMMAND:-kafka-acls.sh}" --bootstrap-server "$BOOTSTRAP" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
    --add --force --allow-principal "User:$user" "$@"
}
shared() { # topics that all applications share, to be read
  for topic in web-events api-events erasures; do
    allow "$1" --operation Read --operation Describe --topic "$TOPIC_PREFIX$topic"
  done
}

# Creates what is missing, and compares what is there.
allow firstcall-migrate --operation Create --operation Describe --operation DescribeConfigs --resource-pattern-type prefixed --topic "$OWN"
for topic in web-events api-events erasures; do
  allow firstcall-migrate --operation Create --operation Describe --operation DescribeConfigs --topic "$TOPIC_PREFIX$topic"
done

# Events.
for topic in web-events api-events; do
  allow firstcall-producer --operation Write --operation Describe --topic "$TOPIC_PREFIX$topic"
done

# The streams: internal topics, and changelogs, whose names begin with the application id, without the prefix.
shared firstcall-worker
allow firstcall-worker --operation Read --operation Write --operation Describe --resource-pattern-type prefixed --topic "$OWN"
allow firstcall-worker --operation Create --operation Read --operation Write --operation Describe --operation DescribeConfigs \
  --resource-pattern-type prefixed --topic "$APP_ID-"
allow firstcall-worker --operation Read --operation Describe --resource-pattern-type prefixed --group "$APP_ID"

# Rows to ClickHouse.
shared firstcall-sink
allow firstcall-sink --operation Read --operation Describe --resource-pattern-type prefixed --topic "$OWN"
allow firstcall-sink --operation Read --operation Describe --resource-pattern-type prefixed --group "$APP_ID"

# How far the groups are, and alerts.
for topic in web-events api-events erasures; do
  allow firstcall-alerts --operation Describe --topic "$TOPIC_PREFIX$topic"
done
allow firstcall-alerts --operation Describe --resource-pattern-type prefixed --topic "$OWN"
allow firstcall-alerts --operation Write --topic "${OWN}alerts"
allow firstcall-alerts --operation Describe --resource-pattern-type prefixed --group "$APP_ID"

# Replays and erases: writes events again and marks who was erased, deletes topics and groups of generations that are gone.
for topic in web-events api-events erasures; do
  allow firstcall-operator --operation Read --operation Write --operation Describe --topic "$TOPIC_PREFIX$topic"
done
for prefix in "$OWN" "$APP_ID-"; do
  allow firstcall-operator --operation All --resource-pattern-type prefixed --topic "$prefix"
done
allow firstcall-operator --operation Read --operation Describe --operation Delete --resource-pattern-type prefixed --group "$APP_ID"
