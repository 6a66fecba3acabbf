package example;

import java.util.Properties;

public class Text {
    record Row(String key, Object value) {}

    public static void main(String[] arguments) throws Exception {
        var properties = new Properties();
        properties.load(Text.class.getResourceAsStream("/build.properties"));
        System.out.println(new Row("version", properties.get("version")));
    }
}
