/* The limit: one epoll loop that hands each event on and does nothing else.
 *
 * Per turn it reads what has come, appends each published event, framed once, to what its task has to send, and then
 * sends that to every subscriber of the task: one call per idle socket. A socket that takes only a part is busy: the
 * rest and what follows wait until it is writable. Nothing is validated, stored, numbered or limited. It speaks the
 * bare dialect (see load/bare.c) and prints its address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "frame.h"

enum { MAX_DESCRIPTORS = 1 << 16, MAX_TASKS = 1 << 16, WAKE_UPS = 512, BACKLOG = 4096 };

static const char SWITCHED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n\r\n";

struct peer {
    int descriptor;
    bool upgraded, busy, subscribed;
    int task, place;       /* where it stands among the task's subscribers */
    struct buffer unread;  /* the start of a frame */
    struct buffer unsent;
};

struct task {
    struct peer **subscribers;
    int count, capacity;
    struct buffer staged; /* this turn's frames */
};

static struct peer *peers[MAX_DESCRIPTORS];
static struct task tasks[MAX_TASKS];
static int touched[MAX_TASKS], touched_count; /* tasks with something staged */
static int epoll, listener;
static char received[1 << 18];

_Noreturn static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int operation, int descriptor, uint32_t events) {
    struct epoll_event wanted = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(epoll, operation, descriptor, &wanted)) die("epoll_ctl");
}

/* ── tasks ── */

static void join(struct peer *peer, int number) {
    struct task *task = &tasks[number];
    if (task->count == task->capacity) {
        task->capacity = task->capacity ? 2 * task->capacity : 1;
        task->subscribers = realloc(task->subscribers, (size_t)task->capacity * sizeof *task->subscribers);
        if (!task->subscribers) die("realloc");
    }
    peer->subscribed = true;
    peer->task = number;
    peer->place = task->count;
    task->subscribers[task->count++] = peer;
}

static void leave(struct peer *peer) {
    struct task *task = &tasks[peer->task];
    struct peer *last = task->subscribers[--task->count];
    task->subscribers[peer->place] = last;
    last->place = peer->place;
}

static void stage(int number, const char *payload, size_t length) {
    if (!tasks[number].staged.length) touched[touched_count++] = number;
    frame_write(&tasks[number].staged, TEXT, false, payload, length);
}

/* ── sending ── */

static void hang_up(struct peer *peer) {
    if (peer->subscribed) leave(peer);
    peers[peer->descriptor] = NULL;
    close(peer->descriptor);
    buffer_free(&peer->unread);
    buffer_free(&peer->unsent);
    free(peer);
}

/* Returns how many bytes the socket took; a broken one is noticed when it is read. */
static size_t send_now(const struct peer *peer, const char *bytes, size_t length) {
    ssize_t sent = send(peer->descriptor, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : (size_t)sent;
}

static void send_to(struct peer *peer, const char *bytes, size_t length) {
    size_t sent = peer->busy ? 0 : send_now(peer, bytes, length);
    if (sent == length) return;
    buffer_append(&peer->unsent, bytes + sent, length - sent);
    if (!peer->busy) watch(EPOLL_CTL_MOD, peer->descriptor, EPOLLIN | EPOLLOUT);
    peer->busy = true;
}

static void send_rest(struct peer *peer) {
    buffer_drop(&peer->unsent, send_now(peer, peer->unsent.bytes, peer->unsent.length));
    if (peer->unsent.length) return;
    peer->busy = false;
    watch(EPOLL_CTL_MOD, peer->descriptor, EPOLLIN);
}

static void send_staged(void) {
    for (int i = 0; i < touched_count; i++) {
        struct task *task = &tasks[touched[i]];
        for (int j = 0; j < task->count; j++) send_to(task->subscribers[j], task->staged.bytes, task->staged.length);
        task->staged.length = 0;
    }
    touched_count = 0;
}

/* ── receiving ── */

static void obey(struct peer *peer, const struct frame *frame, struct buffer *answers) {
    char *end;
    long number = frame->length ? strtol(frame->payload + 1, &end, 10) : -1;
    if (frame->opcode != TEXT || number < 0 || number >= MAX_TASKS) return;
    if (*frame->payload == 'S') join(peer, (int)number);
    if (*frame->payload == 'P') stage((int)number, end + 1, (size_t)(frame->payload + frame->length - end - 1));
    frame_write(answers, TEXT, false, "+", 1);
}

/* Returns how many of the bytes are done with. */
static size_t read_frames(struct peer *peer, char *bytes, size_t length) {
    static struct buffer answers;
    struct frame frame;
    size_t used = 0;
    for (size_t size; (size = frame_read(bytes + used, length - used, &frame)); used += size)
        obey(peer, &frame, &answers);
    if (answers.length) send_to(peer, answers.bytes, answers.length);
    answers.length = 0;
    return used;
}

static size_t upgrade(struct peer *peer, const char *bytes, size_t length) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    peer->upgraded = true;
    send_to(peer, SWITCHED, sizeof SWITCHED - 1);
    return (size_t)(end - bytes) + 4;
}

static void receive(struct peer *peer) {
    struct buffer *unread = &peer->unread;
    size_t kept = unread->length, used = 0;
    if (kept) memcpy(received, unread->bytes, kept);
    ssize_t got = recv(peer->descriptor, received + kept, sizeof received - 1 - kept, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        hang_up(peer);
        return;
    }
    size_t length = kept + (size_t)got;
    received[length] = 0;
    if (!peer->upgraded) used = upgrade(peer, received, length);
    if (peer->upgraded) used += read_frames(peer, received + used, length - used);
    unread->length = 0;
    buffer_append(unread, received + used, length - used);
}

static void welcome(void) {
    int descriptor, one = 1;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (descriptor >= MAX_DESCRIPTORS) die("too many connections");
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peers[descriptor] = calloc(1, sizeof(struct peer));
        if (!peers[descriptor]) die("calloc");
        peers[descriptor]->descriptor = descriptor;
        watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
    }
}

/* ── the loop ── */

static void turn(void) {
    static struct epoll_event happened[WAKE_UPS];
    int count = epoll_wait(epoll, happened, WAKE_UPS, -1);
    for (int i = 0; i < count; i++) {
        int descriptor = happened[i].data.fd;
        if (descriptor == listener) {
            welcome();
            continue;
        }
        if (happened[i].events & EPOLLOUT) send_rest(peers[descriptor]);
        if (happened[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(peers[descriptor]);
    }
    send_staged();
}

static void listen_anywhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, BACKLOG)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    printf("ready at ws://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(void) {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1");
    listen_anywhere();
    for (;;) turn();
}
