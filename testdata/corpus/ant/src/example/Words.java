package example;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/** Counts words. */
public class Words {
    /** How often each word is there. */
    static Map<String, Integer> count(String... words) {
        Map<String, Integer> counts = new TreeMap<>();
        for (String word : words) counts.merge(word, 1, Integer::sum);
        return counts;
    }

    /** Prints them. */
    public static void main(String[] arguments) {
        Function<String[], Object> counted = Words::count;
        System.out.println(counted.apply(arguments));
    }
}
