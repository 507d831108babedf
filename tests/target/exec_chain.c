/* Executes itself again and again, each time by another function of the exec family, and after one
 * that fails: exec_chain [STEPS], default 8. The last image says how many there were. */
#include "tests/target/truth.h"

#include <errno.h>

extern char **environ;

static NOINLINE char *
map_in_image(size_t length)
{
	return truth_mapped(
	    mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void
go_on(const char *self, int step, char *left, char *total)
{
	char *const arguments[] = {"exec_chain", left, total, NULL};

	switch (step % 8) {
	case 0:
		execl(self, "exec_chain", left, total, (char *)NULL);
		break;
	case 1:
		execv(self, arguments);
		break;
	case 2:
		execve(self, arguments, environ);
		break;
	case 3:
		execlp(self, "exec_chain", left, total, (char *)NULL);
		break;
	case 4:
		execvp(self, arguments);
		break;
	case 5:
		execle(self, "exec_chain", left, total, (char *)NULL, environ);
		break;
	case 6:
		fexecve(open(self, O_RDONLY | O_CLOEXEC), arguments, environ);
		break;
	default:
		execvpe(self, arguments, environ);
	}
	truth_die("exec");
}

int
main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 8;
	int total = argc > 2 ? atoi(argv[2]) : left;
	size_t length = (size_t)(total - left + 1) * MIB;
	char *range = map_in_image(length);
	char self[4096], left_text[16], total_text[16];
	ssize_t path = readlink("/proc/self/exe", self, sizeof(self) - 1);

	truth_touch(range, length, PAGE);
	if (left > 0) {
		if (path < 0)
			truth_die("readlink");
		self[path] = '\0';
		if (execl("/nonexistent/program", "x", (char *)NULL) != -1 || errno != ENOENT)
			truth_die("exec that must fail");
		snprintf(left_text, sizeof(left_text), "%d", left - 1);
		snprintf(total_text, sizeof(total_text), "%d", total);
		go_on(self, left, left_text, total_text);
	}
	truth_figure("images", total + 1);
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "map_in_image",
	    .count = 1,
	    .live_count = 1,
	    .reserved_bytes = length,
	    .accessible_bytes = length,
	    .committed_bytes = truth_present(range, length),
	    .total_reserved_bytes = length,
	});
	return truth_end("exec_chain");
}
