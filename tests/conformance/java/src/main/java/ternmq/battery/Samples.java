package ternmq.battery;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;

import org.apache.rocketmq.common.message.Message;

/**
 * Messages that differ in everything a producer can set: size, bytes, tag, keys, user properties, flag. The n-th
 * sample is always the same message, and {@link #describe} writes it down before the client touches it.
 */
final class Samples {
    private static final String[] TAGS = {"TagA", "TagB", null, "中文"};

    private Samples() {
    }

    static Message message(String topic, int number) {
        Message message = new Message(topic, body(number));
        String tag = TAGS[number % TAGS.length];
        if (tag != null) {
            message.setTags(tag);
        }
        if (number % 3 == 0) {
            message.setKeys("key-" + number);
        } else if (number % 3 == 1) {
            message.setKeys("key-" + number + " other-" + number);
        }
        message.setFlag(number);
        message.putUserProperty("number", String.valueOf(number));
        message.putUserProperty("name", "Grüße 你好 =&\"\\");
        if (number % 7 == 0) {
            message.putUserProperty("long", "v".repeat(3000));
        }
        if (number % 5 == 4) {
            message.setWaitStoreMsgOK(false);
        }
        return message;
    }

    private static byte[] body(int number) {
        switch (number % 6) {
            case 0:
                return ("plain " + number).getBytes(StandardCharsets.UTF_8);
            case 1:
                return ("größer 消息 😀 " + number).getBytes(StandardCharsets.UTF_8);
            case 2:
                // Over the client's threshold of 4,096 bytes, so that it travels and is stored compressed.
                return ("compressible " + number + " ").repeat(600).getBytes(StandardCharsets.UTF_8);
            case 3:
                byte[] all = new byte[256];
                for (int i = 0; i < all.length; i++) {
                    all[i] = (byte) i;
                }
                return all;
            case 4:
                return new byte[] {(byte) number};
            default:
                byte[] random = new byte[100_000];
                new Random(number).nextBytes(random);
                return random;
        }
    }

    /** What goes in, taken from the message before it is sent: the client adds to the message while sending. */
    static Map<String, Object> describe(Message message) {
        Map<String, String> user = new HashMap<>(message.getProperties());
        for (String name : new String[] {"TAGS", "KEYS", "WAIT"}) {
            user.remove(name);
        }
        Map<String, Object> description = new HashMap<>();
        description.put("topic", message.getTopic());
        description.put("body", message.getBody());
        description.put("tag", message.getTags());
        description.put("keys", message.getKeys());
        description.put("flag", message.getFlag());
        description.put("properties", user);
        return description;
    }
}
