#!/usr/bin/env bash
# One broker of Apache Kafka, in KRaft mode, out of Maven's jars. Needs Java 17
# and Maven. Prints BROKERS.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$root/scripts/e2e/servers/kafka
libs=$tools/kafka-4.1.1/libs

install() {
	say "fetching Apache Kafka 4.1.1, 43 MB, once"
	rm -rf "$libs.new"
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$libs.new" >&2
	mv "$libs.new" "$libs"
}

properties() {
	local dir=$1 port=$2 controller=$3
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
		advertised.listeners=PLAINTEXT://127.0.0.1:$port
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		log.dirs=$dir/data
		auto.create.topics.enable=false
		unclean.leader.election.enable=false
		offsets.topic.replication.factor=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
	END
}

kafka() { java "-Dlog4j2.configurationFile=$here/log4j2.properties" -cp "$libs/*" "$@"; }

start() {
	local dir=$1 port controller
	once "$libs" install
	port=$(kept "$dir/port" free_port)
	controller=$(kept "$dir/controller-port" free_port)
	properties "$dir" "$port" "$controller" >"$dir/server.properties"
	if [[ ! -e $dir/data/meta.properties ]]; then
		kafka kafka.tools.StorageTool format -t "$(kept "$dir/cluster" kafka kafka.tools.StorageTool random-uuid)" \
			-c "$dir/server.properties" >>"$dir/log" 2>&1 || die "$dir: cannot be formatted: $(tail "$dir/log")"
	fi
	local before
	before=$(grep -c 'Kafka Server started' "$dir/log" || true)
	launch "$dir" java -Xms256m -Xmx512m -XX:+UseSerialGC "-Dlog4j2.configurationFile=$here/log4j2.properties" \
		-cp "$libs/*" kafka.Kafka "$dir/server.properties"
	await "$dir" 120 started_again "$dir" "$before"
	echo "BROKERS=127.0.0.1:$port"
}

started_again() { (($(grep -c 'Kafka Server started' "$1/log") > $2)); }

run "$@"
