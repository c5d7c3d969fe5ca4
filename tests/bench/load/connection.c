#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

static struct sockaddr_in address;
static int epoll;
static uint64_t received_ns;
static char received[1 << 22]; /* NATS puts all it has into one frame */

void connections_to(int port, int watching) {
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = watching;
}

uint64_t connection_received_ns(void) { return received_ns; }

static void watch(struct connection *connection, int operation) {
    bool writing = connection->stage == CONNECTING || connection->unsent.length;
    uint32_t events = (writing ? EPOLLOUT : 0u) | (connection->stalled ? 0u : EPOLLIN);
    struct epoll_event wanted = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, operation, connection->descriptor, &wanted)) die("epoll_ctl: %s", strerror(errno));
}

void connection_open(struct connection *connection, const struct dialect *dialect, int task, bool replays) {
    int one = 1;
    *connection = (struct connection){.dialect = dialect, .task = task, .replays = replays, .stage = CONNECTING};
    connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0) die("socket: %s", strerror(errno));
    setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->descriptor, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    watch(connection, EPOLL_CTL_ADD);
}

void connection_stall(struct connection *connection, bool stalled) {
    if (connection->stalled == stalled) return;
    connection->stalled = stalled;
    watch(connection, EPOLL_CTL_MOD);
}

/* ── sending ── */

void connection_flush(struct connection *connection) {
    struct buffer *unsent = &connection->unsent;
    if (!unsent->length) return;
    ssize_t sent = send(connection->descriptor, unsent->bytes, unsent->length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) die("a connection broke while sending: %s", strerror(errno));
    bool were_all_sent = sent == (ssize_t)unsent->length;
    if (sent > 0) buffer_drop(unsent, (size_t)sent);
    if (!were_all_sent) watch(connection, EPOLL_CTL_MOD);
}

void connection_say(struct connection *connection, const struct buffer *message) {
    connection->dialect->transport->say(connection, message);
}

static void begin(struct connection *connection) {
    int error = 0;
    getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) die("connect: %s", strerror(error));
    connection->dialect->transport->begin(connection);
}

void connection_greet(struct connection *connection) {
    struct buffer message = {0};
    bool answered = connection->dialect->greet(&message, connection);
    connection->stage = GREETING;
    if (answered)
        connection_say(connection, &message);
    else
        heard_welcome(connection);
    buffer_free(&message);
    connection_flush(connection);
}

/* ── receiving ── */

void connection_hear_pieces(struct connection *connection, const char *text, size_t length,
                            size_t (*hear)(struct connection *, const char *, size_t)) {
    struct buffer *unheard = &connection->unheard;
    bool joined = unheard->length;
    if (joined) {
        buffer_append(unheard, text, length);
        text = unheard->bytes;
        length = unheard->length;
    }
    size_t used = 0;
    for (size_t size; used < length && (size = hear(connection, text + used, length - used)); used += size);
    if (joined)
        buffer_drop(unheard, used);
    else
        buffer_append(unheard, text + used, length - used);
}

static void receive(struct connection *connection) {
    struct buffer *unread = &connection->unread;
    size_t kept = unread->length;
    if (kept == sizeof received) die("a message of more than %zu bytes", kept);
    memcpy(received, unread->bytes ? unread->bytes : received, kept);
    ssize_t got = recv(connection->descriptor, received + kept, sizeof received - kept, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) die("a connection broke: %s", strerror(errno));
    if (got == 0) die("the server ended a connection");
    received_ns = now_ns();
    size_t length = kept + (size_t)got;
    size_t used = connection->dialect->transport->read(connection, received, length);
    unread->length = 0;
    buffer_append(unread, received + used, length - used);
}

void connection_wake(struct connection *connection, uint32_t events) {
    if (connection->stage == CONNECTING) {
        begin(connection);
        connection_flush(connection);
        watch(connection, EPOLL_CTL_MOD);
        return;
    }
    if (events & EPOLLOUT) {
        connection_flush(connection);
        if (!connection->unsent.length) watch(connection, EPOLL_CTL_MOD);
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(connection);
}
