package meshbridge.peers;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * What a test tells a running application, one order a line on its standard input: {@code delay MILLISECONDS},
 * {@code fail on|off}, and whatever the application adds. Each is answered by {@code DONE} or {@code FAILED} and the order.
 * The application ends when the input does: nobody is left to talk to it.
 */
abstract class Orders {
    /** The line after which the application answers calls. */
    static final String READY = "PEER READY";

    private volatile long delay;
    private volatile boolean failing;

    /** Does an order of the application's own; what it throws is the reason in the answer. */
    protected abstract void carryOut(String order, String argument) throws Exception;

    /** Slows a call down and fails it, as far as that was ordered. */
    final void obey() {
        try {
            Thread.sleep(delay);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failing) {
            throw new IllegalStateException("told to fail");
        }
    }

    /** Says that the application is ready, then carries out orders until there are no more; ends the program. */
    final void follow() throws IOException {
        obeyFrom(READY);
    }

    /** Says that the application is ready and which version of its framework runs, then does the same. */
    final void follow(String version) throws IOException {
        obeyFrom(READY + " " + version);
    }

    private void obeyFrom(String ready) throws IOException {
        System.out.println(ready);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answer(line.strip());
        }
        Runtime.getRuntime().halt(0);
    }

    private void answer(String line) {
        int at = line.indexOf(' ');
        String order = at < 0 ? line : line.substring(0, at);
        String argument = at < 0 ? "" : line.substring(at + 1);
        try {
            switch (order) {
                case "delay" -> delay = Long.parseLong(argument);
                case "fail" -> failing = argument.equals("on");
                default -> carryOut(order, argument);
            }
            System.out.println("DONE " + line);
        } catch (Exception reason) {
            System.out.println("FAILED " + line + ": " + reason);
        }
    }
}
