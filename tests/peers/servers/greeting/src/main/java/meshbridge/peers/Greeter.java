package meshbridge.peers;

/** The first of the two services that every provider offers. */
public interface Greeter {
    /** Says who answered this call, as JSON. */
    String greet(String name);
}
