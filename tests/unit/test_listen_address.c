#include "tools/serve/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int
port_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static void
every_form_is_read(void **state)
{
	static const struct {
		const char *text;
		int family;
		int port;
		bool is_loopback;
		bool is_any;
	} forms[] = {{"9757", AF_INET, 9757, true, false},
		     {"0", AF_INET, 0, true, false},
		     {":80", AF_INET, 80, false, true},
		     {"127.0.0.1:1", AF_INET, 1, true, false},
		     {"127.8.0.1:1", AF_INET, 1, true, false},
		     {"0.0.0.0:65535", AF_INET, 65535, false, true},
		     {"10.0.0.1:1", AF_INET, 1, false, false},
		     {"[::1]:9757", AF_INET6, 9757, true, false},
		     {"[::]:9757", AF_INET6, 9757, false, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct sockaddr_storage address;
		struct vmt_err err = {""};

		assert_int_equal(vmt_listen_address_read(&address, forms[i].text, &err), 0);
		assert_int_equal(address.ss_family, forms[i].family);
		assert_int_equal(port_of(&address), forms[i].port);
		assert_int_equal(vmt_listen_address_is_loopback(&address), forms[i].is_loopback);
		assert_int_equal(vmt_listen_address_is_any(&address), forms[i].is_any);
	}
}

static void
everything_else_is_refused_in_one_line(void **state)
{
	static const char *const wrong[] = {
	    "",		  "x",	       ":",	    ":x",     "65536",	   "-1",
	    "127.0.0.1:", "127.0.0.1", "::1:80",    "[::1]",  "[::1:80",   "localhost:80",
	    "1.2.3:80",	  "[]:80",     "[::1]x:80", ":80:80", "1.2.3.4:5 "};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct sockaddr_storage address;
		struct vmt_err err = {""};

		assert_int_equal(vmt_listen_address_read(&address, wrong[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "--listen"));
	}
}

static void
a_very_long_text_is_refused(void **state)
{
	char text[4096];
	struct sockaddr_storage address;
	struct vmt_err err = {""};

	(void)state;
	memset(text, '1', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(vmt_listen_address_read(&address, text, &err), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_form_is_read),
	    cmocka_unit_test(everything_else_is_refused_in_one_line),
	    cmocka_unit_test(a_very_long_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
