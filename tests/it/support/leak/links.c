// What netlink tells: interfaces, addresses, routes, sockets.

#include "probe.h"
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

// All attributes of an answer, each a way of its own.
static void tell(const char *what, int count, const struct nlmsghdr *head, size_t before) {
    size_t length = head->nlmsg_len - NLMSG_HDRLEN - NLMSG_ALIGN(before);
    say_bytes(way("%s %d, head", what, count), NLMSG_DATA(head), before);
    for (const struct rtattr *at = (const void *)((const char *)NLMSG_DATA(head) + NLMSG_ALIGN(before)); RTA_OK(at, length);
         at = RTA_NEXT(at, length))
        say_bytes(way("%s %d, attribute %d", what, count, at->rta_type & 0x3fff), RTA_DATA(at), RTA_PAYLOAD(at));
}

static void dump(const char *what, int protocol, int kind, const void *body, size_t length, size_t before) {
    int link = socket(AF_NETLINK, SOCK_RAW, protocol);
    if (link < 0)
        return say_result(what, -1);
    struct sockaddr_nl own = {0};
    socklen_t of_own = sizeof own;
    struct {
        struct nlmsghdr head;
        char body[128];
    } request;
    memset(&request, 0, sizeof request);
    request.head = (struct nlmsghdr){NLMSG_LENGTH(length), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0};
    memcpy(request.body, body, length);
    say_result(way("%s, asked", what), send(link, &request, request.head.nlmsg_len, 0));
    getsockname(link, (struct sockaddr *)&own, &of_own);
    say(way("%s, port", what), "%d", (int)own.nl_pid);
    int count = 0, is_over = 0;
    while (!is_over) {
        static char bytes[1 << 16];
        long got = recv(link, bytes, sizeof bytes, 0);
        if (got <= 0)
            break;
        size_t rest = got;
        for (struct nlmsghdr *at = (struct nlmsghdr *)bytes; NLMSG_OK(at, rest); at = NLMSG_NEXT(at, rest)) {
            if (at->nlmsg_type == NLMSG_DONE || at->nlmsg_type == NLMSG_ERROR) {
                is_over = 1;
                break;
            }
            if (count < 8)
                tell(what, count, at, before);
            count++;
        }
    }
    say(way("%s, count", what), "%d", count);
    close(link);
}

void links(void) {
    struct ifinfomsg any = {0};
    struct ifaddrmsg address = {0};
    struct rtmsg route = {0};
    dump("netlink link", NETLINK_ROUTE, RTM_GETLINK, &any, sizeof any, sizeof any);
    dump("netlink address", NETLINK_ROUTE, RTM_GETADDR, &address, sizeof address, sizeof address);
    dump("netlink route", NETLINK_ROUTE, RTM_GETROUTE, &route, sizeof route, sizeof route);
    dump("netlink rule", NETLINK_ROUTE, RTM_GETRULE, &route, sizeof route, sizeof route);
    dump("netlink neighbour", NETLINK_ROUTE, RTM_GETNEIGH, &any, sizeof any, 12);
    dump("netlink statistics", NETLINK_ROUTE, RTM_GETSTATS, "\0\0\0\0\0\0\0\0\1\0\0\0", 12, 12);
    // Of Unix sockets: kind, protocol, two of padding, all states, no inode, everything.
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    uint32_t sockets[6] = {AF_UNIX, ~0u, 0, 0x3f, 0, 0};
    dump("netlink sockets", 4, 20, sockets, sizeof sockets, 16);
    close(listener);
    static const int protocols[] = {2, 5, 9, 10, 11, 12, 15, 16, 18, 19, 20, 21};
    for (size_t at = 0; at < sizeof protocols / sizeof *protocols; at++) {
        int link = socket(AF_NETLINK, SOCK_RAW, protocols[at]);
        say_result(way("netlink protocol %d", protocols[at]), link < 0 ? -1 : 0);
        close(link);
    }
    static const int families[] = {AF_VSOCK, AF_ALG, AF_BLUETOOTH, AF_XDP, AF_TIPC, AF_CAN, AF_KEY, AF_NFC, AF_RDS, AF_PPPOX, AF_MPLS, AF_QIPCRTR, AF_SMC};
    for (size_t at = 0; at < sizeof families / sizeof *families; at++) {
        int made = socket(families[at], SOCK_DGRAM, 0);
        say_result(way("sockets of family %d", families[at]), made < 0 ? -1 : 0);
        close(made);
    }
}
