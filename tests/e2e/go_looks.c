/* go_looks.c: see go_looks.h. */
#include "tests/e2e/go_looks.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES 100

void
go_look_forget(struct go_look *look)
{
	json_decref(look->said);
	json_decref(look->report);
}

static int64_t
reserved(json_t *root, const char *class)
{
	return class_figure(root, class, "reserved_bytes");
}

/* Each figure of the runtime's, and the classes that it counts. */
static bool
agrees(const struct go_look *look)
{
	json_t *root = look->report;
	int64_t objects = reserved(root, "Go large objects") + reserved(root, "Go small objects");

	return objects == number(look->said, "heap_alloc") &&
	       objects + reserved(root, "Go free slots") == number(look->said, "heap_in_use") &&
	       reserved(root, "Go free spans") + reserved(root, "Go released") ==
		   number(look->said, "heap_idle") &&
	       reserved(root, "Go released") == number(look->said, "heap_released") &&
	       reserved(root, "Go stacks") == number(look->said, "stack_in_use");
}

static void
stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

struct go_look
go_look_once(struct conversation *talk, const char *line)
{
	struct go_look look;
	struct run run;
	char text[64];
	char pid[16];

	snprintf(text, sizeof(text), "%s\n", line);
	assert_int_equal(write(talk->to, text, strlen(text)), (ssize_t)strlen(text));
	converse_read_line(talk);
	look.said = json_loads(talk->line, 0, NULL);
	assert_non_null(look.said);
	stop(talk->pid);
	snprintf(pid, sizeof(pid), "%d", (int)talk->pid);
	run_program(
	    &run,
	    (const char *const[]){built("vmtrace"), "snapshot", pid, "--format", "json", NULL},
	    NULL);
	assert_int_equal(kill(talk->pid, SIGCONT), 0);
	assert_int_equal(run.exit_status, 0);
	look.report = json_loads(run.out, 0, NULL);
	assert_non_null(look.report);
	run_free(&run);
	return look;
}

struct go_look
go_look_steady(struct conversation *talk, const char *line)
{
	struct go_look look;

	for (int i = 0; i < TRIES; i++) {
		look = go_look_once(talk, line);
		assert_true(json_is_null(member(member(look.report, "go"), "uncut")));
		if (agrees(&look))
			return look;
		if (i + 1 == TRIES)
			break;
		go_look_forget(&look);
	}
	print_error("%s\n", json_dumps(look.said, 0));
	print_error("%s\n", json_dumps(member(look.report, "classes"), JSON_INDENT(1)));
	fail_msg("the runtime counts otherwise");
	return look;
}
