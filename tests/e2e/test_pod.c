/*
 * test_pod.c: is a pod recorded by what `vmtrace env --patch` and vmtrace-install do?
 */
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char deployment[] =
    "{\"apiVersion\":\"apps/"
    "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"shop\"},\"spec\":{"
    "\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":"
    "\"b\"}},"
    "\"spec\":{\"containers\":[{\"name\":\"shop\",\"image\":\"shop:1\",\"env\":[{\"name\":\"KEPT\","
    "\"value\":\"yes\"},{\"name\":\"LD_PRELOAD\",\"value\":\"/lib/"
    "other.so\"}]}],\"volumes\":[{\"name\":"
    "\"data\",\"emptyDir\":{}}]}}}}";

static void
write_deployment(void)
{
	FILE *file = fopen(scratch_file("shop.json"), "w");

	assert_non_null(file);
	fputs(deployment, file);
	assert_int_equal(fclose(file), 0);
}

/* The value of a variable of a container; "" where it has none. */
static const char *
value_of(json_t *container, const char *name)
{
	json_t *variable;
	size_t i;

	json_array_foreach(member(container, "env"), i, variable)
	{
		if (strcmp(json_string_value(member(variable, "name")), name) == 0)
			return json_string_value(member(variable, "value"));
	}
	return "";
}

/* By Kubernetes's own code for patches. */
static void
test_kubectl_takes_the_patch(void **state)
{
	json_t *root, *pod, *container;
	struct run run;

	(void)state;
	need_program("kubectl");
	write_deployment();
	shell("'%s' env --patch '%s' --image vmtrace:1 >'%s'", built("vmtrace"),
	      scratch_file("shop.json"), scratch_file("patch.yaml"));
	run_program(&run,
		    (const char *const[]){"kubectl", "patch", "--local", "-f",
					  scratch_file("shop.json"), "--patch-file",
					  scratch_file("patch.yaml"), "-o", "json", NULL},
		    NULL);
	if (run.exit_status != 0)
		fail_msg("%s%s", run.out, run.err);
	root = json_loads(run.out, 0, NULL);
	pod = member(member(member(root, "spec"), "template"), "spec");
	container = json_array_get(member(pod, "containers"), 0);
	assert_int_equal(json_array_size(member(pod, "containers")), 1);
	assert_string_equal(json_string_value(member(container, "image")), "shop:1");
	assert_string_equal(value_of(container, "KEPT"), "yes");
	assert_string_equal(value_of(container, "LD_PRELOAD"),
			    "/vmtrace/libvmtrace.so:/lib/other.so");
	assert_string_equal(value_of(container, "VMTRACE_OUTPUT"), "/vmtrace/vmtrace.%n.%p.vmt");
	assert_int_equal(json_array_size(member(pod, "volumes")), 2);
	assert_int_equal(json_array_size(member(pod, "initContainers")), 1);
	json_decref(root);
	run_free(&run);
}

/* What Kubernetes does not know is not in what it gives back. */
static void
test_kubectl_takes_the_daemon_set(void **state)
{
	json_t *root, *pod, *container, *security, *mounts, *mount;
	struct run run;
	size_t i;

	(void)state;
	need_program("kubectl");
	run_program(&run,
		    (const char *const[]){"kubectl", "set", "env", "--local", "-f",
					  "docs/fleet/daemonset.yaml", "SET=yes", "-o", "json",
					  NULL},
		    NULL);
	if (run.exit_status != 0)
		fail_msg("%s%s", run.out, run.err);
	root = json_loads(run.out, 0, NULL);
	assert_string_equal(json_string_value(member(root, "kind")), "DaemonSet");
	pod = member(member(member(root, "spec"), "template"), "spec");
	container = json_array_get(member(pod, "containers"), 0);
	security = member(container, "securityContext");
	mounts = member(container, "volumeMounts");
	assert_string_equal(value_of(container, "SET"), "yes");
	assert_true(json_is_true(member(security, "readOnlyRootFilesystem")));
	assert_true(json_is_false(member(security, "allowPrivilegeEscalation")));
	assert_string_equal(
	    json_string_value(json_array_get(member(member(security, "capabilities"), "add"), 0)),
	    "DAC_READ_SEARCH");
	assert_int_equal(json_array_size(mounts), 2);
	json_array_foreach(mounts, i, mount) assert_true(json_is_true(member(mount, "readOnly")));
	assert_int_equal(json_array_size(member(pod, "volumes")), 2);
	json_decref(root);
	run_free(&run);
}

/* In a root that has nothing but the program, as a user that is nobody. */
static void
test_what_is_installed_records(void **state)
{
	const char *directory = scratch_file("volume");
	struct run run;
	json_t *root;

	(void)state;
	assert_int_equal(mkdir(directory, 0700), 0);
	run_program(&run, (const char *const[]){built("vmtrace-install"), directory, NULL}, NULL);
	assert_string_equal(run.err, "");
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(
	    &run, (const char *const[]){built("tests/target/cache_demo"), NULL},
	    (const char *const[]){variable("LD_PRELOAD", scratch_file("volume/libvmtrace.so")),
				  variable("VMTRACE_OUTPUT", scratch_file("volume/t.vmt")), NULL});
	assert_int_equal(run.exit_status, 0);
	assert_string_equal(run.err, "");
	run_free(&run);
	root = report(scratch_file("volume/t.vmt"), NULL);
	assert_true(site_sum(root, "mmap", "main", "reserved_bytes") > 0);
	json_decref(root);
}

static void
test_each_library_is_whole(void **state)
{
	struct stat status;

	(void)state;
	shell("mkdir -p '%s' && '%s' '%s' && cmp '%s' '%s'", scratch_file("one"),
	      built("vmtrace-install"), scratch_file("one"), scratch_file("one/libvmtrace.so"),
	      built("install/glibc.so"));
	assert_int_equal(stat(scratch_file("one/libvmtrace.so"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0755);
	need_program("musl-gcc");
	shell("'%s' --musl '%s' && cmp '%s' '%s' && [ \"$(ls -A '%s')\" = libvmtrace.so ]",
	      built("vmtrace-install"), scratch_file("one"), scratch_file("one/libvmtrace.so"),
	      built("install/musl.so"), scratch_file("one"));
}

/* As process 1 of its namespace each time, as in a container. */
static void
test_one_that_was_killed_is_begun_anew(void **state)
{
	struct run run;

	(void)state;
	shell("mkdir -p '%s' && echo half >'%s' && chmod 0 '%s'", scratch_file("again"),
	      scratch_file("again/.libvmtrace.so.1"), scratch_file("again/.libvmtrace.so.1"));
	run_program(&run,
		    (const char *const[]){"unshare", "-Urpf", "--", built("vmtrace-install"),
					  scratch_file("again"), NULL},
		    NULL);
	if (says(run.err, "unshare failed")) {
		run_free(&run);
		skip();
	}
	assert_string_equal(run.err, "");
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	shell("cmp '%s' '%s' && [ \"$(ls -A '%s')\" = libvmtrace.so ]",
	      scratch_file("again/libvmtrace.so"), built("install/glibc.so"),
	      scratch_file("again"));
}

static void
test_what_fails_is_said(void **state)
{
	static const struct {
		const char *arguments[3];
		int status;
		const char *says;
	} wrong[] = {{{NULL}, 2, "usage: vmtrace-install"},
		     {{"--musl", NULL}, 2, "usage: vmtrace-install"},
		     {{"a", "b"}, 2, "usage: vmtrace-install"},
		     {{"/nowhere"}, 1, "vmtrace-install: /nowhere: No such file or directory"},
		     {{"/proc"}, 1, "vmtrace-install: /proc: "}};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const char *argv[4] = {built("vmtrace-install"), wrong[i].arguments[0],
				       wrong[i].arguments[1], NULL};
		struct run run;

		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, wrong[i].status);
		if (!strstr(run.err, wrong[i].says))
			fail_msg("%s", run.err);
		run_free(&run);
	}
}

static void
test_options_of_a_patch_go_with_it(void **state)
{
	struct run run;

	(void)state;
	run_program(&run, (const char *const[]){built("vmtrace"), "env", "--container", "x", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(strstr(run.err, "--container goes with --patch"));
	run_free(&run);
	run_program(&run,
		    (const char *const[]){built("vmtrace"), "env", "--patch", "/nowhere", NULL},
		    NULL);
	assert_int_equal(run.exit_status, 2);
	assert_non_null(strstr(run.err, "/nowhere: No such file"));
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kubectl_takes_the_patch),
	    cmocka_unit_test(test_kubectl_takes_the_daemon_set),
	    cmocka_unit_test(test_what_is_installed_records),
	    cmocka_unit_test(test_each_library_is_whole),
	    cmocka_unit_test(test_one_that_was_killed_is_begun_anew),
	    cmocka_unit_test(test_what_fails_is_said),
	    cmocka_unit_test(test_options_of_a_patch_go_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
