/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_holds.c - what netd tells podnet-fwd, and whose port is whose
 *
 * podnet-fwd is played by the test, on the same loop: what it is told is written down as text, "+"
 * with a socket that comes along, ">" another aim, "-" dropped, by the last digits of the port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netd/fwd/addr.h>
#include <netd/ports/ports.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <tests/lib/testlib.h>

#define MANY 300

struct world {
	struct loop *loop;
	struct ports *ports;
	char dir[64], path[96];
	int door, fd;
	struct loop_watch *door_watch, *watch;
	bool deaf;                  /* reads nothing for now */
	uint16_t held[4];           /* what it says that it holds; 0: no more */
	uint16_t first;             /* port of number 0 */
	char told[4096];
	unsigned int puts, hellos, changed, settled;
	/* while the loop is turned */
	bool (*until)(const struct world *w);
	struct loop_timer *look;
	uint64_t since;
	unsigned int quiet;         /* looks at it since something came */
};

static struct fwd_addr at(const struct world *w, unsigned int number)
{
	return (struct fwd_addr){ .family = AF_INET, .protocol = IPPROTO_TCP,
				  .port_be = htons((uint16_t)(w->first + number)), .addr = { 127, 0, 0, 1 } };
}

static struct fwd_addr to(unsigned int last)
{
	return (struct fwd_addr){ .family = AF_INET, .protocol = IPPROTO_TCP, .port_be = htons(80),
				  .addr = { 10, 244, 0, (uint8_t)last } };
}

/* ---- podnet-fwd ---- */

static void hang_up(struct world *w)
{
	loop_unwatch(w->watch);
	w->watch = NULL;
	drop_fd(&w->fd);
}

static void answer(struct world *w)
{
	struct fwd_msg v[ARRAY_SIZE(w->held) + 1] = { 0 };
	size_t n = 0;

	for (; w->held[n]; n++)
		v[n] = (struct fwd_msg){ .type = FWD_HELD, .at = at(w, w->held[n]), .to = to(1) };
	v[n++].type = FWD_DONE;
	assert_int_equal(send(w->fd, v, n * sizeof(*v), 0), (ssize_t)(n * sizeof(*v)));
}

/* The socket that came is bound where it says. */
static void check_socket(const struct fwd_msg *msg, struct msghdr *head)
{
	struct sockaddr_in sa = { 0 };
	socklen_t len = sizeof(sa);
	int fd;

	assert_non_null(CMSG_FIRSTHDR(head));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(head)), sizeof(fd));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(sa.sin_port, msg->at.port_be);
	close(fd);
}

static void note(struct world *w, char sign, const struct fwd_msg *msg)
{
	size_t n = strlen(w->told);

	snprintf(w->told + n, sizeof(w->told) - n, "%s%c%u%s", n ? " " : "", sign,
		 ntohs(msg->at.port_be) - w->first, sign == '>' ? msg->to.addr[3] == 2 ? "=2" : "=?" : "");
}

static void on_peer(void *arg, uint32_t events)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct world *w = arg;
	struct fwd_msg msg;
	struct iovec iov = { &msg, sizeof(msg) };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			       .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(w->fd, &head, MSG_DONTWAIT);

	(void)events;
	w->quiet = 0;
	if (n <= 0) {
		hang_up(w);
		return;
	}
	assert_int_equal(n, sizeof(msg));
	if (msg.type == FWD_HELLO) {
		w->hellos++;
		answer(w);
	} else if (msg.type == FWD_PUT) {
		check_socket(&msg, &head);
		w->puts++;
		note(w, '+', &msg);
	} else {
		note(w, msg.type == FWD_AIM ? '>' : msg.type == FWD_DROP ? '-' : '?', &msg);
	}
}

static void on_door(void *arg, uint32_t events)
{
	struct world *w = arg;

	(void)events;
	w->quiet = 0;
	w->fd = accept(w->door, NULL, NULL);
	assert_true(w->fd >= 0);
	assert_int_equal(loop_watch_fd(w->loop, w->fd, EPOLLIN, on_peer, w, &w->watch), 0);
}

/* ---- the loop ---- */

static void look(void *arg)
{
	struct world *w = arg;

	w->quiet++;
	if (w->until(w) || now_monotonic_us() - w->since > 20000000)
		loop_stop(w->loop);
	else
		loop_timer_set(w->look, 1);
}

static void turn(struct world *w, bool (*until)(const struct world *w))
{
	w->until = until;
	w->since = now_monotonic_us();
	w->quiet = 0;
	loop_timer_set(w->look, 0);
	assert_int_equal(loop_run(w->loop), 0);
	assert_true(until(w));
}

static bool is_ready(const struct world *w)
{
	return ports_ready(w->ports);
}

/* Nothing more comes: what was sent before it has been read. */
static bool is_quiet(const struct world *w)
{
	return w->quiet > 20;       /* turns of the loop that both are on */
}

static bool has_many(const struct world *w)
{
	return w->puts == MANY;
}

static bool is_again(const struct world *w)
{
	return w->hellos == 2 && is_quiet(w);
}

static void on_changed(void *arg, void *owner)
{
	struct world *w = arg;

	(void)owner;
	w->changed++;
}

static void on_settled(void *arg)
{
	struct world *w = arg;

	w->settled++;
}

/* ---- the world ---- */

/* A row of ports that nobody has. */
static uint16_t free_ports(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned int first = 20000 + (unsigned int)getpid() % 20 * 500, n = 0;

	while (n < MANY + 10) {
		_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM, 0);

		sa.sin_port = htons((uint16_t)(first + n));
		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
			n++;
			continue;
		}
		first += n + 1;
		n = 0;
	}
	return (uint16_t)first;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct ports_config conf = {
		.mode = PORTS_WAIT, .starter = -1, .changed = on_changed, .settled = on_settled, .arg = w,
	};

	*state = w;
	w->fd = -1;
	w->first = free_ports();
	snprintf(w->dir, sizeof(w->dir), "/tmp/podnet-holds-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/fwd.sock", w->dir);
	memcpy(sa.sun_path, w->path, strlen(w->path));
	w->door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->door, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(w->door, 4), 0);
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(loop_timer_new(w->loop, look, w, &w->look), 0);
	assert_int_equal(loop_watch_fd(w->loop, w->door, EPOLLIN, on_door, w, &w->door_watch), 0);
	conf.loop = w->loop;
	conf.socket = w->path;
	return ports_new(&conf, &w->ports);
}

static int teardown(void **state)
{
	struct world *w = *state;

	ports_free(w->ports);
	hang_up(w);
	loop_unwatch(w->door_watch);
	loop_timer_free(w->look);
	loop_free(w->loop);
	closep(&w->door);
	unlink(w->path);
	rmdir(w->dir);
	free(w);
	return 0;
}

static int put(struct world *w, struct port_list *list, unsigned int number, unsigned int last)
{
	struct fwd_addr where = at(w, number), aim = to(last);

	return ports_put(w->ports, list, list, &where, &aim, true);
}

static void begin(struct world *w)
{
	ports_begin(w->ports, true);
	turn(w, is_ready);
	assert_true(w->settled > 0);
}

static void expect(struct world *w, const char *told)
{
	turn(w, is_quiet);
	assert_string_equal(w->told, told);
	*w->told = '\0';
}

/* ---- what is told ---- */

static void differences(void **state)
{
	struct port_list a = { NULL }, b = { NULL };
	struct world *w = *state;

	w->held[0] = 1;
	w->held[1] = 2;
	begin(w);
	assert_int_equal(put(w, &a, 1, 1), 0);
	expect(w, "");                  /* it was so */
	assert_int_equal(put(w, &b, 3, 1), 0);
	expect(w, "+3");
	ports_whole(w->ports);
	expect(w, "-2");                /* nobody's */
	assert_int_equal(put(w, &a, 1, 2), 0);
	expect(w, ">1=2");
	ports_mark(&b);
	assert_int_equal(put(w, &b, 4, 1), 0);
	assert_true(ports_sweep(w->ports, &b));
	expect(w, "+4 -3");
	/* gone and back before it was said */
	ports_mark(&b);
	assert_true(ports_sweep(w->ports, &b));
	assert_int_equal(put(w, &a, 4, 1), 0);
	expect(w, "");
	/* come and gone: the socket is closed, so anybody may have it */
	assert_int_equal(put(w, &b, 5, 1), 0);
	ports_mark(&b);
	assert_true(ports_sweep(w->ports, &b));
	expect(w, "");
	assert_int_equal(put(w, &a, 5, 1), 0);
	expect(w, "+5");
}

static void met_again(void **state)
{
	struct port_list a = { NULL };
	struct world *w = *state;

	begin(w);
	for (unsigned int i = 1; i < 4; i++)
		assert_int_equal(put(w, &a, i, 1), 0);
	turn(w, is_quiet);
	assert_int_equal(w->puts, 3);
	hang_up(w);
	turn(w, is_again);
	assert_int_equal(w->puts, 6);
	assert_int_equal(w->changed, 0);
}

static void with_patience(void **state)
{
	struct port_list a = { NULL };
	struct world *w = *state;

	begin(w);
	loop_unwatch(w->watch);         /* it reads nothing until all is declared */
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(put(w, &a, i, 1), 0);
	turn(w, is_quiet);
	assert_int_equal(loop_watch_fd(w->loop, w->fd, EPOLLIN, on_peer, w, &w->watch), 0);
	turn(w, has_many);
}

/* ---- whose it is ---- */

static void owners(void **state)
{
	struct port_list a = { NULL }, b = { NULL };
	struct world *w = *state;
	struct fwd_addr one = at(w, 1), five = at(w, 5), eight = at(w, 8);
	uint16_t five_port = (uint16_t)(w->first + 5), eight_port = (uint16_t)(w->first + 8);

	begin(w);
	assert_int_equal(put(w, &a, 1, 1), 0);
	assert_int_equal(put(w, &b, 1, 1), -EEXIST);
	assert_ptr_equal(ports_other(w->ports, &b, &one, w->first + 1), &a);
	assert_null(ports_other(w->ports, &a, &one, w->first + 1));
	/* many at once: those in it, and those that it would be in */
	assert_int_equal(ports_claim(w->ports, &b, &b, &five, eight_port), 0);
	assert_ptr_equal(ports_other(w->ports, &a, &eight, eight_port), &b);
	assert_ptr_equal(ports_other(w->ports, &a, &one, five_port), &b);
	assert_ptr_equal(ports_other(w->ports, &b, &one, five_port), &a);
	one.protocol = IPPROTO_UDP;
	assert_null(ports_other(w->ports, &a, &one, eight_port));
	ports_mark(&b);
	assert_true(ports_sweep(w->ports, &b));
	assert_null(ports_other(w->ports, &a, &eight, eight_port));
	expect(w, "+1");
}

static void in_use(void **state)
{
	struct port_list a = { NULL };
	struct world *w = *state;
	struct fwd_addr where = at(w, 1);
	struct sockaddr_storage sa;
	socklen_t len = fwd_sockaddr(&where, &sa);
	_cleanup_close_ int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(other, (struct sockaddr *)&sa, len), 0);
	begin(w);
	assert_int_equal(put(w, &a, 1, 1), -EADDRINUSE);
	assert_int_equal(put(w, &a, 2, 1), 0);
	expect(w, "+2");
	ports_mark(&a);
	assert_true(ports_sweep(w->ports, &a));
	expect(w, "-2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(differences, setup, teardown),
		cmocka_unit_test_setup_teardown(met_again, setup, teardown),
		cmocka_unit_test_setup_teardown(with_patience, setup, teardown),
		cmocka_unit_test_setup_teardown(owners, setup, teardown),
		cmocka_unit_test_setup_teardown(in_use, setup, teardown),
	};

	return cmocka_run_group_tests_name("holds", tests, NULL, NULL);
}
