/*
 * Keeps a test server on the loopback interface.
 *
 * Some servers (the gRPC and Raft ports of Nacos, Dubbo's ports) listen on every address and offer no option for it.
 * Preloaded, this library answers their bind() to "any address" with a bind() to 127.0.0.1, or to the IPv4 address in
 * LOOPBACK_ADDRESS (Dubbo registers no 127.*: it gets an address of its own on lo). Every other bind() passes through.
 * Where LOOPBACK_ADDRESS is no address the bind() fails: it must not reach every address after all.
 * Built and preloaded by tests/rig (Linux only).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*bind_function)(int, const struct sockaddr *, socklen_t);

static const char *wanted(void)
{
    const char *said = getenv("LOOPBACK_ADDRESS");
    return said == NULL ? "127.0.0.1" : said;
}

static int refuse(void)
{
    fprintf(stderr, "loopback: LOOPBACK_ADDRESS is no IPv4 address: '%s'\n", wanted());
    errno = EINVAL;
    return -1;
}

int bind(int socket_number, const struct sockaddr *address, socklen_t length)
{
    static bind_function next;
    if (next == NULL)
        next = (bind_function)dlsym(RTLD_NEXT, "bind");

    struct sockaddr_storage local;
    if (address == NULL || length > sizeof local)
        return next(socket_number, address, length);
    memcpy(&local, address, length);

    struct in_addr loopback;
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct in_addr *host = &((struct sockaddr_in *)&local)->sin_addr;
        if (host->s_addr == htonl(INADDR_ANY)) {
            if (inet_pton(AF_INET, wanted(), &loopback) != 1)
                return refuse();
            *host = loopback;
        }
    } else if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct in6_addr *host = &((struct sockaddr_in6 *)&local)->sin6_addr;
        /* Java opens dual-stack sockets; the mapped IPv4 address is what its clients reach. */
        if (IN6_IS_ADDR_UNSPECIFIED(host)) {
            if (inet_pton(AF_INET, wanted(), &loopback) != 1)
                return refuse();
            memset(host->s6_addr, 0, 10);
            memset(host->s6_addr + 10, 0xff, 2);
            memcpy(host->s6_addr + 12, &loopback, 4);
        }
    }
    return next(socket_number, (const struct sockaddr *)&local, length);
}
