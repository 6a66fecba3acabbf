package example;

import java.util.Map;
import java.util.TreeMap;

/** Counts how often each word is said. */
public final class Words {
    private Words() {}

    public static void main(String[] words) {
        Map<String, Integer> counts = new TreeMap<>();
        for (String word : words) counts.merge(word, 1, Integer::sum);
        counts.forEach((word, count) -> System.out.println(word + " " + count));
    }
}
