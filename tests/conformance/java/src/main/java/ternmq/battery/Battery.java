package ternmq.battery;

/**
 * The official Java client, unmodified, driven through one scenario.
 *
 * <p>Usage: {@code Battery NAMESERVERS SCENARIO TOPIC [ARGUMENT...]}. Writes JSON lines: what went in, what came back.
 * Exit code 0 says that the scenario ran to its end, not that the answers were right: the caller compares.
 */
public final class Battery {
    private Battery() {
    }

    public static void main(String[] arguments) throws Exception {
        String nameServers = arguments[0];
        String scenario = arguments[1];
        String topic = arguments[2];
        switch (scenario) {
            case "create-topic" -> Sends.createTopic(nameServers, topic, Integer.parseInt(arguments[3]));
            case "sync" -> Sends.sync(nameServers, topic, Integer.parseInt(arguments[3]));
            case "async" -> Sends.async(nameServers, topic, Integer.parseInt(arguments[3]));
            case "oneway" -> Sends.oneWay(nameServers, topic, Integer.parseInt(arguments[3]));
            case "batch" -> Sends.batch(nameServers, topic, Integer.parseInt(arguments[3]));
            case "unknown-topic" -> Sends.unknownTopic(nameServers, topic);
            case "pull" -> Pulls.all(nameServers, topic, arguments.length > 3 ? arguments[3] : "*");
            case "edges" -> Pulls.edges(nameServers, topic);
            case "offsets" -> Offsets.all(nameServers, topic);
            case "search" -> Offsets.search(nameServers, topic, Integer.parseInt(arguments[3]),
                Long.parseLong(arguments[4]));
            case "long-producer" -> LongProducer.run(nameServers, topic);
            default -> throw new IllegalArgumentException("no scenario " + scenario);
        }
        Lines.event("done").with("scenario", scenario).print();
        // The client leaves a few non-daemon threads behind.
        System.exit(0);
    }
}
