/*
 * test_clients.c: who is cut off, and when?
 */
#include "tools/serve/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define NOBODY 1000000 /* no descriptor: what is done to it fails */

static struct vmt_clients clients;
static int pair[2];

static int
begin(void **state)
{
	(void)state;
	vmt_clients_begin(&clients);
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int
end(void **state)
{
	(void)state;
	return close(pair[0]) | close(pair[1]);
}

static bool
is_cut(void)
{
	char byte;

	return recv(pair[1], &byte, 1, MSG_DONTWAIT) == 0;
}

static void
fill(int64_t now_ns)
{
	while (!vmt_clients_are_all(&clients))
		assert_non_null(vmt_clients_add(&clients, NOBODY, now_ns));
}

static void
there_is_a_most(void **state)
{
	struct vmt_client *first = vmt_clients_add(&clients, pair[0], 0);

	(void)state;
	for (unsigned i = 1; i < VMT_CLIENTS_MOST; i++) {
		assert_false(vmt_clients_are_all(&clients));
		assert_non_null(vmt_clients_add(&clients, NOBODY, 0));
	}
	assert_true(vmt_clients_are_all(&clients));
	assert_null(vmt_clients_add(&clients, NOBODY, 0));
	vmt_client_leaves(first);
	assert_false(vmt_clients_are_all(&clients));
	assert_ptr_equal(vmt_clients_add(&clients, pair[0], 0), first);
}

static void
who_asks_nothing_has_ten_seconds(void **state)
{
	(void)state;
	vmt_clients_add(&clients, pair[0], 5 * S);
	vmt_clients_cut_slow_ones(&clients, 15 * S);
	assert_false(is_cut());
	vmt_clients_cut_slow_ones(&clients, 15 * S + 1);
	assert_true(is_cut());
}

static void
who_has_asked_has_two_minutes(void **state)
{
	struct vmt_client *client = vmt_clients_add(&clients, pair[0], 0);

	(void)state;
	vmt_client_asks(client, true, 9 * S);
	fill(100 * S);
	vmt_clients_cut_slow_ones(&clients, 129 * S);
	assert_false(is_cut());
	vmt_client_asks(client, false, 129 * S);
	vmt_client_asks(client, true, 130 * S);
	vmt_clients_cut_slow_ones(&clients, 250 * S);
	assert_false(is_cut());
	vmt_clients_cut_slow_ones(&clients, 250 * S + 1);
	assert_true(is_cut());
}

/* A second, half of it, and so on down to 50 ms. */
static void
where_others_wait_it_has_less_and_less(void **state)
{
	static const int64_t patience_ms[] = {1000, 500, 250, 125, 62};
	struct vmt_client *client;
	int64_t now = 0;

	(void)state;
	fill(0);
	for (unsigned i = 0; i < sizeof(patience_ms) / sizeof(*patience_ms); i++) {
		vmt_client_leaves(&clients.all[0]);
		client = vmt_clients_add(&clients, pair[0], now);
		for (unsigned k = 1; k < VMT_CLIENTS_MOST; k++)
			vmt_client_asks(&clients.all[k], false, now);
		vmt_clients_cut_slow_ones(&clients, now + patience_ms[i] * MS);
		assert_ptr_equal(client, &clients.all[0]);
		assert_false(is_cut());
		vmt_client_asks(client, true, now);
		now += patience_ms[i] * MS + MS;
		vmt_clients_cut_slow_ones(&clients, now);
	}
	assert_true(clients.patience_ns < 50 * MS);
	vmt_client_asks(&clients.all[0], false, now);
	vmt_clients_cut_slow_ones(&clients, now + 50 * MS);
	assert_true(is_cut());
	assert_true(clients.patience_ns > 25 * MS);
}

/* A second with a free place, and it has as long as at first. */
static void
it_is_patient_again_where_there_is_room(void **state)
{
	(void)state;
	fill(0);
	vmt_clients_cut_slow_ones(&clients, 2 * S);
	assert_true(clients.patience_ns < S);
	vmt_client_leaves(&clients.all[0]);
	vmt_clients_cut_slow_ones(&clients, 4 * S);
	fill(4 * S);
	vmt_client_leaves(&clients.all[0]);
	vmt_clients_add(&clients, pair[0], 4 * S);
	vmt_clients_cut_slow_ones(&clients, 5 * S);
	assert_false(is_cut());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(there_is_a_most, begin, end),
	    cmocka_unit_test_setup_teardown(who_asks_nothing_has_ten_seconds, begin, end),
	    cmocka_unit_test_setup_teardown(who_has_asked_has_two_minutes, begin, end),
	    cmocka_unit_test_setup_teardown(where_others_wait_it_has_less_and_less, begin, end),
	    cmocka_unit_test_setup_teardown(it_is_patient_again_where_there_is_room, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
