/*
 * test_sandboxed.c: do programs that lock themselves in run as without us?
 *
 * Behind a seccomp filter, in a chroot, as another user, in namespaces of their own: no system call
 * of ours may be the one that ends them. What is not installed is left out by name.
 */
#include "tests/e2e/twice.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
need(const char *program)
{
	char script[256];

	snprintf(script, sizeof(script), "command -v %s", program);
	if (twice_succeeds(script))
		return;
	print_message("skip: %s is not installed\n", program);
	skip();
}

static void
need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skip: not root\n");
	skip();
}

static void
test_file(void **state)
{
	(void)state;
	need("file");
	assert_true(twice_compare("file -b /bin/sh \"$S/ftp.py\" | cut -c1-20; "
				  "file -bz /dev/null; exit 3") >= 3);
}

/* What man starts behind its filter can make no file: each such process says so in one line. */
static void
test_man(void **state)
{
	size_t lines;

	(void)state;
	need("man");
	need("mandb");
	assert_true(twice_compare_said(
			". \"$S/man.sh\"",
			"vmtrace: not recording: a seccomp filter forbids making the output file",
			&lines) >= 10);
	assert_in_range(lines, 1, 4);
}

static void
test_vsftpd(void **state)
{
	(void)state;
	need("vsftpd");
	need_root();
	assert_true(twice_compare("python3 \"$S/ftp.py\" NO; exit 3") >= 4);
	assert_true(twice_compare("python3 \"$S/ftp.py\" YES; exit 3") >= 4);
}

/* A login by key, which the unprivileged child behind its filter negotiates, and one refused. */
static void
test_sshd(void **state)
{
	(void)state;
	need("sshd");
	need("ssh-keygen");
	need_root();
	assert_true(twice_compare(". \"$S/sshd.sh\"") >= 8);
}

/* With its sandbox, which needs an ordinary user and user namespaces; as root without. */
static void
test_chromium(void **state)
{
	const char *library = scratch_file("libvmtrace.so");

	(void)state;
	need("chromium");
	need_root();
	setenv("LIBRARY", built("libvmtrace.so"), 1);
	assert_true(twice_succeeds("install -m 755 \"$LIBRARY\" \"$D\""));
	assert_true(twice_compare_preloading(
			"BECOME='runuser -u nobody --' FLAGS=; . \"$S/browse.sh\"", library) >= 6);
	if (soak_count(0, 1) != 0)
		assert_true(twice_compare_preloading(
				"BECOME= FLAGS=--no-sandbox; . \"$S/browse.sh\"", library) >= 6);
}

static int
write_files(void **state)
{
	(void)state;
	twice_set_up();
	setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
	assert_true(twice_succeeds(
	    "mkdir -p \"$D/ftp/pub\" \"$D/empty\" && seq 99999 >\"$D/ftp/pub/numbers\" && "
	    "chmod 755 \"$D/ftp\" \"$D/ftp/pub\" \"$D/empty\" && "
	    "cp \"$S/page.html\" \"$D\" && chmod 644 \"$D/page.html\""));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),     cmocka_unit_test(test_man),
	    cmocka_unit_test(test_vsftpd),   cmocka_unit_test(test_sshd),
	    cmocka_unit_test(test_chromium),
	};

	return cmocka_run_group_tests_name("sandboxed", tests, write_files, NULL);
}
