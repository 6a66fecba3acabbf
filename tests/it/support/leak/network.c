// Sockets: times of messages, ports, numbers that the kernel gives.

#include "probe.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

// Of <asm/socket.h>, whose names some libraries lack.
enum { TIMESTAMP = 29, TIMESTAMPNS = 35, TIMESTAMPING = 37, MEMINFO = 55, INCOMING_CPU = 49, NAPI = 56, COOKIE = 57, NETNS_COOKIE = 71 };

static void options(const char *name, int socket) {
    static const struct {
        int number;
        const char *name;
    } numbers[] = {{SO_RCVBUF, "RCVBUF"}, {SO_SNDBUF, "SNDBUF"}, {INCOMING_CPU, "INCOMING_CPU"}, {NAPI, "NAPI"}, {COOKIE, "COOKIE"},
                   {NETNS_COOKIE, "NETNS_COOKIE"}, {MEMINFO, "MEMINFO"}, {SO_PEERCRED, "PEERCRED"}};
    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) {
        unsigned value[16] = {0};
        socklen_t length = sizeof value;
        int got = getsockopt(socket, SOL_SOCKET, numbers[at].number, value, &length);
        say(way("%s, %s", name, numbers[at].name), "%d %u %u %u", got, value[0], value[1], value[2]);
    }
}

// A message, and the times that the kernel put beside it.
static void receive(const char *name, int from) {
    char text[64], beside[512];
    struct iovec part = {text, sizeof text};
    struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = beside, .msg_controllen = sizeof beside};
    say_result(way("%s, message", name), recvmsg(from, &head, MSG_DONTWAIT));
    int count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&head); at; at = CMSG_NXTHDR(&head, at)) {
        long numbers[2] = {0, 0};
        memcpy(numbers, CMSG_DATA(at), sizeof numbers);
        say(way("%s, beside a message %d", name, count++), "%d %ld.%09ld", at->cmsg_type, numbers[0], numbers[1]);
    }
    struct timeval last = {0, 0};
    int got = ioctl(from, 0x8906, &last); // SIOCGSTAMP_OLD
    say(way("%s, SIOCGSTAMP", name), "%d %ld.%06ld", got ? -errno : 0, (long)last.tv_sec, (long)last.tv_usec);
}

static void with_times(const char *name, int one, int other, const struct sockaddr *to, socklen_t length) {
    static const int kinds[] = {TIMESTAMP, TIMESTAMPNS, TIMESTAMPING};
    for (int at = 0; at < 3; at++) {
        // All times by software, of receiving.
        int on = kinds[at] == TIMESTAMPING ? 0x18 : 1, off = 0;
        say_result(way("%s, option %d", name, kinds[at]), setsockopt(other, SOL_SOCKET, kinds[at], &on, sizeof on));
        say_result(way("%s, sent with option %d", name, kinds[at]), sendto(one, "x", 1, MSG_DONTWAIT, to, length));
        receive(way("%s with option %d", name, kinds[at]), other);
        setsockopt(other, SOL_SOCKET, kinds[at], &off, sizeof off);
    }
}

static void datagrams(void) {
    int one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    say_result("UDP, bind", bind(other, (struct sockaddr *)&at, sizeof at));
    getsockname(other, (struct sockaddr *)&at, &length);
    say("UDP, port that the kernel chose", "%d", ntohs(at.sin_port));
    with_times("UDP", one, other, (struct sockaddr *)&at, sizeof at);
    options("UDP", other);
    struct sockaddr_in own;
    length = sizeof own;
    getsockname(one, (struct sockaddr *)&own, &length);
    say("UDP, port of a sender", "%d", ntohs(own.sin_port));
    close(one);
    close(other);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0) {
        with_times("Unix pair", pair[0], pair[1], 0, 0);
        options("Unix pair", pair[1]);
    }
    int unnamed = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un name = {AF_UNIX, ""};
    length = sizeof(sa_family_t);
    say_result("Unix, bind", bind(unnamed, (struct sockaddr *)&name, length));
    length = sizeof name;
    getsockname(unnamed, (struct sockaddr *)&name, &length);
    say_bytes("Unix, name that the kernel chose", name.sun_path, length - sizeof(sa_family_t));
    close(unnamed);
}

static void connections(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, own;
    socklen_t length = sizeof at;
    say_result("TCP, bind", bind(listener, (struct sockaddr *)&at, sizeof at));
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&at, &length);
    say("TCP, port that the kernel chose", "%d", ntohs(at.sin_port));
    int got = connect(one, (struct sockaddr *)&at, sizeof at);
    say_result("TCP, connect", got);
    int other = got ? -1 : accept(listener, 0, 0);
    length = sizeof own;
    getsockname(one, (struct sockaddr *)&own, &length);
    say("TCP, port of who connects", "%d", ntohs(own.sin_port));
    if (other >= 0) {
        if (write(one, "x", 1) != 1)
            say("TCP, write", "failed");
        struct tcp_info info;
        memset(&info, 0, sizeof info);
        length = sizeof info;
        getsockopt(one, IPPROTO_TCP, TCP_INFO, &info, &length);
        say("TCP_INFO, durations", "%u %u %u %u", info.tcpi_rtt, info.tcpi_rttvar, info.tcpi_last_data_sent, info.tcpi_last_ack_recv);
        say("TCP_INFO, bounds", "%u %u %u %u", info.tcpi_snd_mss, info.tcpi_rcv_mss, info.tcpi_snd_cwnd, info.tcpi_rcv_space);
        unsigned stamp = 0;
        length = sizeof stamp;
        getsockopt(one, IPPROTO_TCP, 24, &stamp, &length); // TCP_TIMESTAMP
        say("TCP_TIMESTAMP", "%u", stamp);
        char congestion[16] = "";
        length = sizeof congestion;
        getsockopt(one, IPPROTO_TCP, TCP_CONGESTION, congestion, &length);
        say("TCP_CONGESTION", "%s", congestion);
        options("TCP", one);
        close(other);
    }
    close(one);
    close(listener);
}

// Packets themselves, for who may see them: chance of the kernel's in their heads.
static void packets(void) {
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    say_result("a socket of packets", raw < 0 ? -1 : 0);
    int link = socket(AF_PACKET, SOCK_RAW, htons(3));
    say_result("a socket of links", link < 0 ? -1 : 0);
    if (raw >= 0) {
        int one = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        sendto(one, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&at, sizeof at);
        unsigned char bytes[64] = {0};
        long count = recv(raw, bytes, sizeof bytes, MSG_DONTWAIT);
        say("a packet's number", "%ld %02x%02x", count, bytes[4], bytes[5]);
        close(one);
    }
    close(raw);
    close(link);
}

static void hosts(void) {
    char name[256] = "";
    gethostname(name, sizeof name);
    say("gethostname", "%s", name);
    say("gethostid", "%lx", gethostid());
    const char *asked[] = {"localhost", name, "cairn.invalid", "host.docker.internal"};
    for (size_t at = 0; at < sizeof asked / sizeof *asked; at++) {
        struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = 0;
        int got = getaddrinfo(asked[at], 0, &wanted, &found);
        char text[512] = "";
        for (struct addrinfo *next = found; next; next = next->ai_next) {
            char one[64] = "";
            getnameinfo(next->ai_addr, next->ai_addrlen, one, sizeof one, 0, 0, NI_NUMERICHOST);
            strncat(text, one, sizeof text - strlen(text) - 2);
            strncat(text, " ", 2);
        }
        // This machine's own name is another way's.
        say(way("getaddrinfo %s", at == 1 ? "of itself" : asked[at]), "%d %s", got, text);
    }
    struct ifaddrs *first = 0;
    getifaddrs(&first);
    char text[2048] = "";
    for (struct ifaddrs *next = first; next; next = next->ifa_next) {
        char one[64] = "";
        int kind = next->ifa_addr ? next->ifa_addr->sa_family : 0;
        if (kind == AF_INET || kind == AF_INET6)
            getnameinfo(next->ifa_addr, kind == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6), one, sizeof one, 0, 0, NI_NUMERICHOST);
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s %x %d %s; ", next->ifa_name, next->ifa_flags, kind, one);
    }
    say("getifaddrs", "%s", text);
}

void network(void) {
    datagrams();
    connections();
    packets();
    hosts();
}
