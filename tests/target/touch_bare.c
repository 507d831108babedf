/* Touches fresh memory in one way: touch_bare WAY PAGES. Without frame pointers, and on all sorts
 * of stacks. Its figures are where the memory lies, and which function touched it: the functions
 * that count lie 256 bytes apart. */
#include "tests/target/truth.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#define APART __attribute__((aligned(256)))
#define PIECE ((size_t)16384)

typedef void touch(void);

static char *memory;
static size_t bytes;
static volatile unsigned sink;

APART static NOINLINE void
touch_plain(void)
{
	memset(memory, 1, bytes);
	sink++;
}

APART static NOINLINE void
touch_read(void)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	for (size_t at = 0; at < bytes; at += PAGE)
		if (read(fd, memory + at, PAGE) != (ssize_t)PAGE)
			truth_die("read");
	close(fd);
}

APART static NOINLINE void
touch_recv(void)
{
	static char piece[PIECE];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		truth_die("socketpair");
	for (size_t at = 0; at < bytes; at += PIECE) {
		size_t some = bytes - at < PIECE ? bytes - at : PIECE;

		if (send(pair[0], piece, some, 0) != (ssize_t)some ||
		    recv(pair[1], memory + at, some, MSG_WAITALL) != (ssize_t)some)
			truth_die("recv");
	}
	close(pair[0]);
	close(pair[1]);
}

static void
on_signal(int number)
{
	(void)number;
	touch_plain();
	sink++;
}

static NOINLINE void
strike(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	sink++;
}

static NOINLINE void
touch_in_handler(void)
{
	strike(0);
	sink++;
}

static NOINLINE void
touch_on_other_stack(void)
{
	static char room[65536];
	stack_t other = {.ss_sp = room, .ss_size = sizeof(room)};

	sigaltstack(&other, NULL);
	strike(SA_ONSTACK);
	sink++;
}

static void *
in_thread(void *unused)
{
	(void)unused;
	touch_plain();
	sink++;
	return NULL;
}

static NOINLINE void
touch_in_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, in_thread, NULL) != 0 || pthread_join(thread, NULL) != 0)
		truth_die("thread");
}

/* Code that is made at run time, and has something else in the frame pointer's register. */
static NOINLINE void
touch_from_jit(void)
{
	static const unsigned char code[] = {0x55, 0xbd, 0x34, 0x12, 0x00, 0x00, 0x48, 0x83, 0xec,
					     0x10, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x10, 0x5d, 0xc3};
	union {
		char *bytes;
		void (*call)(touch *);
	} made = {truth_mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))};

	memcpy(made.bytes, code, sizeof(code));
	truth_figure("made_at", (long long)(uintptr_t)made.bytes);
	made.call(touch_plain);
	sink++;
}

static NOINLINE void
touch_in_plugin(void)
{
	void *handle = dlopen("$ORIGIN/plugin_touch", RTLD_NOW);
	union {
		void *found;
		void (*call)(char *, unsigned long);
	} plugin = {handle ? dlsym(handle, "plugin_touch") : NULL};

	if (!plugin.found)
		truth_die("plugin");
	truth_figure("plugin_at", (long long)(uintptr_t)plugin.found);
	plugin.call(memory, bytes);
	dlclose(handle);
	sink++;
}

/* The stack above is full of a secret. */
static NOINLINE void
touch_below_secret(void)
{
	char copies[2048] = "";
	const char *secret = getenv("SECRET");
	size_t length = secret ? strlen(secret) : 0;

	for (size_t at = 0; length > 0 && at + length <= sizeof(copies); at += length)
		memcpy(copies + at, secret, length);
	__asm__ volatile("" ::"r"(copies) : "memory");
	touch_plain();
	__asm__ volatile("" ::"r"(copies) : "memory");
}

static NOINLINE void
pass(unsigned depth, touch *way)
{
	volatile char room[40];

	room[0] = (char)depth;
	if (depth > 0)
		pass(depth - 1, way);
	else
		way();
	sink += (unsigned)room[0];
}

static const struct way {
	const char *name;
	touch *way;
	touch *toucher;
	unsigned depth;
} ways[] = {
    {"plain", touch_plain, touch_plain, 6},
    {"read", touch_read, touch_read, 6},
    {"recv", touch_recv, touch_recv, 6},
    {"handler", touch_in_handler, touch_plain, 3},
    {"other-stack", touch_on_other_stack, touch_plain, 3},
    {"thread", touch_in_thread, touch_plain, 3},
    {"jit", touch_from_jit, touch_plain, 3},
    {"plugin", touch_in_plugin, NULL, 3},
    {"deep", touch_plain, touch_plain, 200},
    {"secret", touch_below_secret, touch_plain, 3},
};

APART int
main(int argc, char **argv)
{
	char line_end;

	bytes = argc > 2 ? strtoul(argv[2], NULL, 10) * PAGE : PAGE;
	memory = truth_mapped(
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	if (write(1, "ready\n", 6) != 6 || read(0, &line_end, 1) != 1)
		truth_die("start");
	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]) != 0)
			continue;
		pass(ways[i].depth, ways[i].way);
		truth_figure("toucher_at", (long long)(uintptr_t)ways[i].toucher);
	}
	truth_figure("main_at", (long long)(uintptr_t)main);
	truth_figure("memory_at", (long long)(uintptr_t)memory);
	truth_figure("memory_bytes", (long long)bytes);
	return truth_end("touch_bare");
}
