package meshbridge.peers;

/** The second of the two services that every provider offers. */
public interface Stock {
    /** Says who answered this call, as JSON. */
    String count(String article);
}
