/* A worker that allocates and maps on demand, and victims that make one kind of call each after a
 * breakpoint, for a test to stop them wherever it likes: stepped FILE heap|map|load. */
#include "tests/target/stepped.h"
#include "tests/target/truth.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

extern char exit_call[];

__asm__(".pushsection .text\n"
	"exit_call: syscall\n"
	"	ud2\n"
	".popsection\n");

static struct stepped *shared;
static void (*victim_call)(void);

static NOINLINE void
call_heap(void)
{
	void *volatile block = malloc(1234);

	free(block);
}

static NOINLINE void
call_map(void)
{
	char *range = truth_mapped(
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	munmap(range, 2 * PAGE);
}

static NOINLINE void
call_load(void)
{
	void *handle = dlopen("libm.so.6", RTLD_NOW);

	if (!handle || dlclose(handle) != 0)
		truth_die("dlopen");
}

static NOINLINE void *
worker_map(void)
{
	return truth_mapped(
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE void *
worker_allocate(void)
{
	return malloc(4321);
}

static void
burst(uint32_t amount)
{
	for (uint32_t i = 0; i < amount; i++) {
		void *block = worker_allocate();
		void *range = worker_map();

		munmap(range, PAGE);
		free(block);
	}
	shared->bursts += amount;
}

static void *
be_victim(void *unused)
{
	__atomic_store_n(&shared->victim, (uint32_t)gettid(), __ATOMIC_RELEASE);
	stepped_wait(&shared->started, 0, 600);
	for (;;) {
		__asm__ volatile("int3\n"
				 "1:	lea 1b(%%rip), %%rax\n"
				 "	movq %%rax, %0\n"
				 : "=m"(shared->after_break)
				 :
				 : "rax");
		victim_call();
		shared->calls++;
	}
	return unused;
}

static void
spawn(void)
{
	pthread_t thread;

	shared->victim = 0;
	shared->started = 0;
	if (pthread_create(&thread, NULL, be_victim, NULL) != 0)
		truth_die("pthread_create");
	pthread_detach(thread);
	while (__atomic_load_n(&shared->victim, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
}

/* The executable mapping that holds the library's mmap. */
static void
find_library(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t wanted = (uintptr_t)dlsym(RTLD_DEFAULT, "mmap");
	unsigned long start, end;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && wanted >= start && wanted < end) {
			shared->library_start = start;
			shared->library_end = end;
		}
	if (!maps || fclose(maps) != 0)
		truth_die("maps");
}

/* All on one CPU, and so with one ring. */
static void
stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		truth_die("sched_setaffinity");
}

static void
work(void)
{
	for (uint32_t seen = 0;; seen++) {
		if (!stepped_wait(&shared->wanted, seen, 600))
			truth_die("the test");
		if (shared->kind == STEPPED_END)
			return;
		if (shared->kind == STEPPED_SPAWN)
			spawn();
		else
			burst(shared->amount);
		stepped_advance(&shared->done);
	}
}

int
main(int argc, char **argv)
{
	int fd = argc > 2 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0)
		truth_die("open");
	shared = (struct stepped *)truth_mapped(
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
	victim_call = strcmp(argv[2], "heap") == 0  ? call_heap
		      : strcmp(argv[2], "map") == 0 ? call_map
						    : call_load;
	stay_on_one_cpu();
	find_library();
	shared->exit_call = (uintptr_t)exit_call;
	stepped_advance(&shared->done);
	work();
	return 0;
}
