#include "tools/serve/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OK = 200, BAD_REQUEST = 400, NOT_FOUND = 404 };

static void
only_known_paths_are_answered(void **state)
{
	static const char *const unknown[] = {"",
					      "//",
					      "/metrics/",
					      "/Metrics",
					      "/metrics/../sd",
					      "/../../etc/passwd",
					      "/debug/pprof",
					      "/debug/pprof/",
					      "metrics",
					      "/%2e%2e/",
					      "/sd\n",
					      "/debug/pprof/heap/x",
					      "/debug/pprof/goroutine"};
	struct vmt_request request;

	(void)state;
	assert_int_equal(vmt_request_begin(&request, "/"), OK);
	assert_int_equal(request.kind, VMT_REQUEST_PAGE);
	assert_int_equal(vmt_request_begin(&request, "/metrics"), OK);
	assert_int_equal(request.kind, VMT_REQUEST_METRICS);
	assert_int_equal(vmt_request_begin(&request, "/debug/pprof/allocs"), OK);
	assert_int_equal(request.kind, VMT_REQUEST_ALLOCS);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		assert_int_equal(vmt_request_begin(&request, unknown[i]), NOT_FOUND);
}

static void
a_pid_is_a_positive_number(void **state)
{
	static const char *const wrong[] = {"",	  "0",	 "-1", "+1",	     " 1",
					    "1x", "0x1", "1 ", "2147483648", "99999999999999999999",
					    "..", "a"};
	struct vmt_request request;

	(void)state;
	assert_int_equal(vmt_request_begin(&request, "/debug/pprof/heap"), OK);
	assert_int_equal(vmt_request_argument(&request, "pid", "2147483647"), OK);
	assert_int_equal(request.pid, 2147483647);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(vmt_request_argument(&request, "pid", wrong[i]), BAD_REQUEST);
	assert_int_equal(vmt_request_argument(&request, "pid", NULL), BAD_REQUEST);
	assert_int_equal(request.pid, 2147483647);
}

static void
arguments_go_with_what_they_mean_something_to(void **state)
{
	struct vmt_request request;

	(void)state;
	vmt_request_begin(&request, "/metrics");
	assert_int_equal(vmt_request_argument(&request, "pid", "1"), BAD_REQUEST);
	assert_int_equal(vmt_request_argument(&request, "seconds", "1"), BAD_REQUEST);
	vmt_request_begin(&request, "/");
	assert_int_equal(vmt_request_argument(&request, "pid", "1"), OK);
	assert_int_equal(vmt_request_argument(&request, "exe", "redis"), BAD_REQUEST);
	vmt_request_begin(&request, "/debug/pprof/heap");
	assert_int_equal(vmt_request_argument(&request, "seconds", "30"), OK);
	assert_int_equal(vmt_request_argument(&request, "gc", NULL), OK);
	assert_int_equal(vmt_request_argument(&request, "exe", "/usr/bin/redis"), OK);
	assert_string_equal(request.exe, "/usr/bin/redis");
	assert_int_equal(vmt_request_argument(&request, "file", "/etc/passwd"), BAD_REQUEST);
}

static void
equal_requests_are_equal_bytes(void **state)
{
	char longest[VMT_REQUEST_EXE_BYTES + 1];
	struct vmt_request one, other;

	(void)state;
	memset(&one, 1, sizeof(one));
	memset(&other, 2, sizeof(other));
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	vmt_request_begin(&one, "/debug/pprof/heap");
	assert_int_equal(vmt_request_argument(&one, "exe", longest), BAD_REQUEST);
	assert_int_equal(vmt_request_argument(&one, "exe", longest + 1), OK);
	assert_int_equal(vmt_request_argument(&one, "exe", "a"), OK);
	vmt_request_begin(&other, "/debug/pprof/heap");
	assert_int_equal(vmt_request_argument(&other, "exe", "a"), OK);
	assert_memory_equal(&one, &other, sizeof(one));
}

static void
a_host_is_an_address_or_a_known_name(void **state)
{
	static const char *const safe[] = {"127.0.0.1",	  "127.0.0.1:9757", "10.1.2.3:80",
					   "[::1]",	  "[::1]:9757",	    "localhost",
					   "LOCALHOST:1", "a.example",	    "b:9757"};
	static const char *const unsafe[] = {"",
					     "evil.example",
					     "evil.example:9757",
					     "[::1",
					     "127.0.0.1.evil.example",
					     "localhost.evil",
					     ":9757",
					     "[]",
					     "example",
					     "a.example.evil",
					     ","};

	(void)state;
	for (size_t i = 0; i < sizeof(safe) / sizeof(*safe); i++)
		assert_true(vmt_request_host_is_safe(safe[i], "a.example,b"));
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(*unsafe); i++)
		assert_false(vmt_request_host_is_safe(unsafe[i], "a.example,,b"));
	assert_false(vmt_request_host_is_safe(NULL, "a"));
	assert_false(vmt_request_host_is_safe("a.example", NULL));
	assert_true(vmt_request_host_is_safe("localhost", NULL));
}

/* In the list of targets alone, and with nothing behind its port. */
static void
the_host_of_a_request_is_kept_where_it_is_named(void **state)
{
	static const char *const whole[] = {"127.0.0.1", "10.1.2.3:80", "[::1]", "[::1]:9757",
					    "a.example:65535"};
	static const char *const wrong[] = {"10.1.2.3:", "10.1.2.3:80x", "10.1.2.3:80:80", "[::1]x",
					    "[::1",	 "a:123456",	 "a:-1",	   "",
					    ":80"};
	struct vmt_request request;

	(void)state;
	vmt_request_begin(&request, "/metrics");
	assert_int_equal(vmt_request_set_host(&request, "10.1.2.3:80"), OK);
	assert_string_equal(request.host, "");
	vmt_request_begin(&request, "/sd");
	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
		assert_int_equal(vmt_request_set_host(&request, whole[i]), OK);
		assert_string_equal(request.host, whole[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(vmt_request_set_host(&request, wrong[i]), BAD_REQUEST);
}

static void
a_very_long_host_is_refused(void **state)
{
	struct vmt_request request;
	char host[4096];

	(void)state;
	memset(host, 'a', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	assert_false(vmt_request_host_is_safe(host, host));
	vmt_request_begin(&request, "/sd");
	assert_int_equal(vmt_request_set_host(&request, host), BAD_REQUEST);
}

static void
a_token_is_whole_or_wrong(void **state)
{
	static const char token[] = "0123456789abcdef";

	(void)state;
	assert_true(vmt_request_has_token("Bearer 0123456789abcdef", token));
	assert_true(vmt_request_has_token("bearer 0123456789abcdef", token));
	assert_false(vmt_request_has_token(NULL, token));
	assert_false(vmt_request_has_token("", token));
	assert_false(vmt_request_has_token("Bearer ", token));
	assert_false(vmt_request_has_token("Bearer 0123456789abcde", token));
	assert_false(vmt_request_has_token("Bearer 0123456789abcdeF", token));
	assert_false(vmt_request_has_token("Bearer 0123456789abcdef ", token));
	assert_false(vmt_request_has_token("Basic 0123456789abcdef", token));
	assert_false(vmt_request_has_token("0123456789abcdef", token));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_known_paths_are_answered),
	    cmocka_unit_test(a_pid_is_a_positive_number),
	    cmocka_unit_test(arguments_go_with_what_they_mean_something_to),
	    cmocka_unit_test(equal_requests_are_equal_bytes),
	    cmocka_unit_test(a_host_is_an_address_or_a_known_name),
	    cmocka_unit_test(the_host_of_a_request_is_kept_where_it_is_named),
	    cmocka_unit_test(a_very_long_host_is_refused),
	    cmocka_unit_test(a_token_is_whole_or_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
