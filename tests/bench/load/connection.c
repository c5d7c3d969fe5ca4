#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "frame.h"

static const char UPGRADE[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: " SAMPLE_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n";

static struct sockaddr_in address;
static const struct dialect *dialect;
static int epoll;
static uint64_t received_ns;
static char received[1 << 22]; /* NATS puts all it has into one frame */

void connections_to(int port, const struct dialect *spoken, int watching) {
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    dialect = spoken;
    epoll = watching;
}

uint64_t connection_received_ns(void) { return received_ns; }

static void watch(struct connection *connection, int operation) {
    bool writing = connection->stage == CONNECTING || connection->unsent.length;
    uint32_t events = (writing ? EPOLLOUT : 0u) | (connection->stalled ? 0u : EPOLLIN);
    struct epoll_event wanted = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, operation, connection->descriptor, &wanted)) die("epoll_ctl: %s", strerror(errno));
}

void connection_open(struct connection *connection, int task, bool replays) {
    int one = 1;
    *connection = (struct connection){.task = task, .replays = replays, .stage = CONNECTING};
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
    frame_write(&connection->unsent, dialect->opcode, true, message->bytes, message->length);
}

static void upgrade(struct connection *connection) {
    int error = 0;
    getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) die("connect: %s", strerror(error));
    connection->stage = UPGRADING;
    buffer_append(&connection->unsent, UPGRADE, sizeof UPGRADE - 1);
}

static void greet(struct connection *connection) {
    struct buffer message = {0};
    bool answered = dialect->greet(&message, connection);
    connection->stage = GREETING;
    if (answered)
        connection_say(connection, &message);
    else
        heard_welcome(connection);
    buffer_free(&message);
    connection_flush(connection);
}

/* ── receiving ── */

/* Takes the answer to the upgrade. Returns its length, 0 if it is not complete. */
static size_t read_upgrade(struct connection *connection, const char *bytes, size_t length) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - bytes) + 4;
    if (!memmem(bytes, head, " 101 ", 5) || !memmem(bytes, head, SAMPLE_ACCEPT, sizeof SAMPLE_ACCEPT - 1))
        die("the upgrade was refused: %.*s", (int)head, bytes);
    greet(connection);
    return head;
}

static void hear_frame(struct connection *connection, const struct frame *frame) {
    if (frame->opcode == CLOSE) die("the server closed a connection");
    if (frame->opcode == PING) {
        frame_write(&connection->unsent, PONG, true, frame->payload, frame->length);
        connection_flush(connection);
    } else if (frame->opcode != PONG) {
        dialect->hear(connection, frame->payload, frame->length);
    }
}

/* Returns how many of the bytes are done with. */
static size_t read_frames(struct connection *connection, char *bytes, size_t length) {
    size_t used = connection->stage == UPGRADING ? read_upgrade(connection, bytes, length) : 0;
    if (connection->stage == UPGRADING) return 0;
    struct frame frame;
    for (size_t size; (size = frame_read(bytes + used, length - used, &frame)); used += size)
        hear_frame(connection, &frame);
    return used;
}

static void receive(struct connection *connection) {
    struct buffer *unread = &connection->unread;
    size_t kept = unread->length;
    if (kept == sizeof received) die("a frame of more than %zu bytes", kept);
    memcpy(received, unread->bytes ? unread->bytes : received, kept);
    ssize_t got = recv(connection->descriptor, received + kept, sizeof received - kept, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) die("a connection broke: %s", strerror(errno));
    if (got == 0) die("the server ended a connection");
    received_ns = now_ns();
    size_t length = kept + (size_t)got;
    size_t used = read_frames(connection, received, length);
    unread->length = 0;
    buffer_append(unread, received + used, length - used);
}

void connection_wake(struct connection *connection, uint32_t events) {
    if (connection->stage == CONNECTING) {
        upgrade(connection);
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
