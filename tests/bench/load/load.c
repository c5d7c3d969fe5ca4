/* The load generator, on one thread: one publisher and many subscribers, or callers who ask and are answered.
 *
 * It connects, then goes through its phases: publishing either so that a `window` of events is on its way (closed
 * loop) or at a `rate` (open loop), and taking note of each delivery; or letting each caller ask again. At the end it waits for what is still to come.
 * Each step is told on stdout as one JSON line, at the moment it ends, so that whoever started this can look at the
 * server's processor time and memory at that very moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common.h"
#include "connection.h"
#include "histogram.h"
#include "options.h"

enum { SECOND = 1000000000, WAKE_UPS = 512, MAX_BATCH = 1000, UNANSWERED = 1 << 16, SHORTEST_TICK = SECOND / 1000 };

static struct options options;
static int epoll, ticker = -1;
static struct connection *connections; /* the subscribers, then the publisher or the callers */
static struct connection *publisher;   /* or the first caller */
static int opened, ready;
static bool stdin_open = true;
static bool stalls; /* the last subscriber, at times: its deliveries are not counted */

static uint32_t sent;                     /* events */
static uint64_t acknowledged, delivered;  /* events, and deliveries to subscribers that read */
static uint64_t publishing_since;
static struct histogram latencies, answers; /* of this phase, in nanoseconds: of deliveries, of acknowledgements */
static uint64_t said_ns[UNANSWERED];      /* when each message was made that is not acknowledged yet, round and round */
static uint32_t said, answered;           /* messages */

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    exit(1);
}

/* ── what is heard ── */

void heard_welcome(struct connection *connection) {
    connection->stage = READY;
    ready++;
}

void heard_refusal(const char *text, size_t length) { die("refused: %.*s", (int)(length < 400 ? length : 400), text); }

/* How many acknowledgements one message gets. */
static uint32_t answers_per_message(const struct dialect *dialect) {
    return dialect->acknowledges_each ? (uint32_t)options.batch : 1;
}

/* When the message was made that is answered now. */
static uint64_t asked_ns(const struct connection *connection) {
    if (options.callers) return connection->asked_ns;
    return said_ns[answered / answers_per_message(connection->dialect) % UNANSWERED];
}

void heard_acknowledgement(struct connection *connection) {
    if (connection->task != PUBLISHER) die("a subscriber was sent an acknowledgement");
    histogram_add(&answers, connection_received_ns() - asked_ns(connection));
    connection->asked_ns = 0;
    answered++;
    acknowledged += connection->dialect->acknowledges_each ? 1 : (uint64_t)options.batch;
}

void heard_event(struct connection *connection, const char *text, size_t length) {
    struct event event;
    if (!event_find(text, length, &event)) heard_refusal(text, length);
    if (!ledger_note(&connection->ledger, event.number, sent)) return;
    if (stalls && connection == publisher - 1) return;
    delivered++;
    histogram_add(&latencies, connection_received_ns() - event.made_ns);
}

/* ── turns ── */

static void watch(int descriptor, void *marker) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = marker};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &wanted)) die("epoll_ctl: %s", strerror(errno));
}

static void read_marker(void *marker) {
    char bytes[64];
    ssize_t got = read(marker == &ticker ? ticker : STDIN_FILENO, bytes, sizeof bytes);
    if (marker == &stdin_open && got == 0) stdin_open = false;
}

/* Wait for something to happen, at most until `until`, and deal with it. */
static void turn(uint64_t until) {
    static struct epoll_event happened[WAKE_UPS];
    uint64_t now = now_ns();
    int timeout = now < until ? (int)((until - now + 999999) / 1000000) : 0;
    int count = epoll_wait(epoll, happened, WAKE_UPS, timeout);
    for (int i = 0; i < count; i++) {
        void *who = happened[i].data.ptr;
        if (who == &ticker || who == &stdin_open)
            read_marker(who);
        else
            connection_wake(who, happened[i].events);
    }
}

/* ── telling ── */

static double processor_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static double milliseconds(const struct histogram *of, double share) { return (double)histogram_quantile(of, share) / 1e6; }

static void tell(const char *step, uint64_t since) {
    printf("{\"step\": \"%s\", \"seconds\": %.6f, \"sent\": %u, \"acknowledged\": %lu, \"delivered\": %lu, "
           "\"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f, \"answer_p99\": %.4f, \"processor\": %.6f}\n",
           step, (double)(now_ns() - since) / SECOND, sent, acknowledged, delivered, milliseconds(&latencies, 0.5),
           milliseconds(&latencies, 0.99), milliseconds(&latencies, 1), milliseconds(&answers, 0.99), processor_seconds());
    fflush(stdout);
}

static void tell_ledgers(void) {
    struct ledger sum = {0};
    uint64_t late = 0;
    for (struct connection *each = connections; each < publisher; each++) {
        sum.missing += each->ledger.missing;
        sum.repeated += each->ledger.repeated;
        sum.gaps += each->ledger.gaps;
        sum.lost += each->ledger.lost;
        late += ledger_outstanding(&each->ledger, sent);
    }
    printf("{\"step\": \"ledgers\", \"missing\": %lu, \"repeated\": %lu, \"gaps\": %lu, \"lost\": %lu, \"late\": %lu}\n",
           sum.missing, sum.repeated, sum.gaps, sum.lost, late);
    fflush(stdout);
}

/* ── publishing ── */

static uint32_t on_the_way(void) {
    uint64_t done = delivered / (uint64_t)(options.subscribers / options.tasks);
    return sent - (uint32_t)(done < acknowledged ? done : acknowledged);
}

static uint32_t wanted(uint64_t now) {
    if (options.rate > 0) return (uint32_t)((double)(now - publishing_since) / SECOND * options.rate) - sent;
    uint32_t busy = on_the_way();
    return busy < (uint32_t)options.window ? (uint32_t)options.window - busy : 0;
}

static uint32_t due(uint64_t now) {
    uint32_t count = wanted(now), left = (uint32_t)options.events - sent;
    return options.events && left < count ? left : count;
}

static void publish(struct connection *from, int count) {
    static struct event events[MAX_BATCH];
    static struct buffer message;
    for (int i = 0; i < count; i++, sent++)
        events[i] = (struct event){sent, options.first_task + (int)(sent % (uint32_t)options.tasks), now_ns()};
    said_ns[said++ % UNANSWERED] = from->asked_ns = events[0].made_ns;
    message.length = 0;
    from->dialect->publish(&message, events, count);
    connection_say(from, &message);
}

static void publish_due(void) {
    for (uint32_t left = due(now_ns()); left >= (uint32_t)options.batch; left -= (uint32_t)options.batch)
        publish(publisher, options.batch);
    connection_flush(publisher);
}

static void call_again(void) {
    for (struct connection *each = publisher; each < publisher + options.callers; each++) {
        if (each->asked_ns) continue;
        publish(each, 1);
        connection_flush(each);
    }
}

static void start_publishing(void) {
    publishing_since = now_ns();
    if (options.rate <= 0) return;
    long period = (long)(SECOND / options.rate);
    struct timespec tick = {0, period < SHORTEST_TICK ? SHORTEST_TICK : period};
    ticker = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (ticker < 0) die("timerfd: %s", strerror(errno));
    timerfd_settime(ticker, 0, &(struct itimerspec){tick, tick}, NULL);
    watch(ticker, &ticker);
}

/* ── steps ── */

static int connection_count(void) { return options.subscribers + (options.callers ? options.callers : 1); }

static const struct dialect *publishing_dialect(void) {
    return options.dialect->publishing ? options.dialect->publishing : options.dialect;
}

static void connect_all(void) {
    uint64_t since = now_ns();
    const struct dialect *listening = options.dialect, *publishing = publishing_dialect();
    int all = connection_count();
    while (ready < all) {
        for (; opened < all && opened - ready < options.at_once; opened++) {
            int number = opened % options.tasks;
            bool publishes = &connections[opened] >= publisher;
            connections_to(publishes ? options.publish_port : options.port, epoll);
            connection_open(&connections[opened], publishes ? publishing : listening,
                            publishes ? PUBLISHER : options.first_task + number, options.replayed > 0);
            connections[opened].ledger = (struct ledger){.next = (uint32_t)number, .step = (uint32_t)options.tasks};
        }
        turn(now_ns() + SECOND);
    }
    tell("connected", since);
}

static void stay(void) {
    watch(STDIN_FILENO, &stdin_open);
    while (stdin_open) turn(now_ns() + SECOND);
}

static bool is_stalled(const struct phase *phase) { return !strcmp(phase->name, "stalled"); }

static void run_phase(const struct phase *phase) {
    uint64_t since = now_ns(), until = since + (uint64_t)(phase->seconds * SECOND);
    latencies = answers = (struct histogram){0};
    if (stalls) connection_stall(publisher - 1, is_stalled(phase));
    while (now_ns() < until && !(options.events && sent == (uint32_t)options.events)) {
        options.callers ? call_again() : publish_due();
        turn(until);
    }
    tell(phase->name, since);
}

static bool all_were_delivered(void) {
    for (struct connection *each = connections; each < publisher; each++)
        if (ledger_outstanding(&each->ledger, sent)) return false;
    return true;
}

static void drain(void) {
    uint64_t since = now_ns(), until = since + (uint64_t)(options.drain * SECOND);
    while (now_ns() < until && !(all_were_delivered() && acknowledged >= sent)) turn(now_ns() + SECOND / 100);
    tell("drained", since);
    tell_ledgers();
}

/* Connect, and get what was published before. */
static void replay(void) {
    uint64_t since = now_ns();
    sent = (uint32_t)options.replayed;
    connect_all();
    while (!all_were_delivered()) turn(now_ns() + SECOND);
    tell("replayed", since);
    tell_ledgers();
}

int main(int count, char **words) {
    options = options_read(count, words);
    alarm((unsigned)options.limit);
    event_set_size((size_t)options.bytes);
    ledger_set_retained((uint32_t)options.retained);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)connection_count(), sizeof *connections);
    if (!connections) die("out of memory");
    publisher = connections + options.subscribers;

    if (options.replayed) {
        replay();
        return 0;
    }
    connect_all();
    if (!options.window && options.rate <= 0 && !options.callers) {
        stay();
        return 0;
    }
    for (int i = 0; i < options.phase_count; i++) stalls |= is_stalled(&options.phases[i]);
    start_publishing();
    for (int i = 0; i < options.phase_count; i++) run_phase(&options.phases[i]);
    drain();
    return 0;
}
