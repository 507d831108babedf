/* An interpreter as a library, to be stripped by the test: what allocates and what loops have no
 * names then, its entries alone have. Each entry calls the allocator by a way of its own. */
#include <string.h>
#include <sys/mman.h>

#define NOINLINE __attribute__((noinline))
#define CHUNK_BYTES (1u << 20)

int interpreter_setup(int chunks);
int interpreter_run(int chunks);
int interpreter_load(int chunks);

static NOINLINE int
grow(void)
{
	char *chunk =
	    mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return -1;
	memset(chunk, 1, CHUNK_BYTES);
	return 0;
}

static NOINLINE int
new_object(int chunks)
{
	int failed = 0;

	for (int i = 0; i < chunks; i++)
		failed |= grow();
	return failed;
}

/* A loop calls itself: as many frames without names as there are levels. */
static NOINLINE int
evaluate(int level, int chunks)
{
	int failed = level > 0 ? evaluate(level - 1, chunks) : new_object(chunks);

	return failed;
}

int
interpreter_setup(int chunks)
{
	int failed = new_object(chunks);

	return failed;
}

int
interpreter_run(int chunks)
{
	int failed = 0;

	for (int i = 0; i < chunks; i++)
		failed |= evaluate(2 + i % 5, 1);
	return failed;
}

int
interpreter_load(int chunks)
{
	int failed = evaluate(3, chunks);

	return failed;
}
