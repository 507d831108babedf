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

/* A figure of the report, where the program has it from runtime/metrics. */
static bool
is_measured(const struct go_look *look, const char *metric, int64_t figure)
{
	json_t *measured = json_object_get(look->said, metric);

	return !measured || json_integer_value(measured) == figure;
}

/* null: none, as math.MaxInt64 and math.MaxUint64 are. */
static int64_t
figure_or(json_t *go, const char *key, int64_t none)
{
	json_t *figure = member(go, key);

	return json_is_null(figure) ? none : json_integer_value(figure);
}

static bool
agrees_with_metrics(const struct go_look *look)
{
	json_t *root = look->report;
	json_t *go = member(root, "go");
	int64_t os_stacks = number(go, "stacks_bytes") - number(look->said, "stack_in_use");

	return is_measured(look, "metrics_objects",
			   reserved(root, "Go large objects") +
			       reserved(root, "Go small objects")) &&
	       is_measured(look, "metrics_unused", reserved(root, "Go free slots")) &&
	       is_measured(look, "metrics_free", reserved(root, "Go free spans")) &&
	       is_measured(look, "metrics_released", reserved(root, "Go released")) &&
	       is_measured(look, "metrics_stacks", reserved(root, "Go stacks")) &&
	       is_measured(look, "metrics_os_stacks", os_stacks) &&
	       is_measured(look, "metrics_total", number(go, "total_bytes")) &&
	       is_measured(look, "metrics_live", number(go, "heap_marked_bytes")) &&
	       is_measured(look, "metrics_limit", figure_or(go, "memory_limit_bytes", INT64_MAX)) &&
	       (json_is_null(member(go, "gc_percent")) ||
		(is_measured(look, "metrics_gogc", number(go, "gc_percent")) &&
		 is_measured(look, "metrics_goal", number(go, "heap_goal_bytes"))));
}

static void
stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

/* Asks, stops the program, and takes a snapshot with that option. */
static void
ask_and_take(struct conversation *talk, const char *line, const char *option, const char *value,
	     struct run *run)
{
	char text[64];
	char pid[16];

	snprintf(text, sizeof(text), "%s\n", line);
	assert_int_equal(write(talk->to, text, strlen(text)), (ssize_t)strlen(text));
	converse_read_line(talk);
	stop(talk->pid);
	snprintf(pid, sizeof(pid), "%d", (int)talk->pid);
	run_program(run,
		    (const char *const[]){built("vmtrace"), "snapshot", pid, option, value, NULL},
		    NULL);
	assert_int_equal(kill(talk->pid, SIGCONT), 0);
	assert_int_equal(run->exit_status, 0);
}

struct go_look
go_look_once(struct conversation *talk, const char *line)
{
	struct go_look look;
	struct run run;

	ask_and_take(talk, line, "--format", "json", &run);
	look.said = json_loads(talk->line, 0, NULL);
	assert_non_null(look.said);
	look.report = json_loads(run.out, 0, NULL);
	assert_non_null(look.report);
	run_free(&run);
	return look;
}

void
go_look_keep(struct conversation *talk, const char *line, const char *trace)
{
	struct run run;

	ask_and_take(talk, line, "-o", trace, &run);
	run_free(&run);
}

struct go_look
go_look_steady(struct conversation *talk, const char *line)
{
	struct go_look look;

	for (int i = 0; i < TRIES; i++) {
		look = go_look_once(talk, line);
		assert_true(json_is_null(member(member(look.report, "go"), "uncut")));
		if (agrees(&look) && agrees_with_metrics(&look))
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
