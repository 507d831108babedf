/*
 * retained: a heap in a shape, and what malloc_trim makes of it.
 *
 * retained burst|tiny|frames|thread: makes the shape, says "ready"; at the end of its input it
 * calls malloc_trim and says how much anonymous memory came back: "came back BYTES".
 *
 *   burst   blocks of 200 bytes, of which one in 64 lives on
 *   tiny    a million blocks of 9 bytes, all of them live
 *   frames  large aligned buffers, freed at once, and a small note behind each that lives on
 *   thread  burst, in a thread's arena
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST_BLOCKS 300000u
#define TINY_BLOCKS 1000000u
#define FRAMES 12u
#define FRAME_BYTES ((size_t)2 << 20)

static void *kept[BURST_BLOCKS];

__attribute__((noinline)) static void *
make_block(size_t bytes)
{
	void *block = malloc(bytes);

	if (!block)
		exit(1);
	return memset(block, 1, bytes);
}

__attribute__((noinline)) static void *
make_note(void)
{
	void *block = malloc(40);

	if (!block)
		exit(1);
	return memset(block, 1, 40);
}

static void *
make_burst(void *unused)
{
	for (size_t i = 0; i < BURST_BLOCKS; i++)
		kept[i] = make_block(200);
	for (size_t i = 0; i < BURST_BLOCKS; i++)
		if (i % 64 != 0)
			free(kept[i]);
	return unused;
}

static void
make_tiny(void)
{
	void *last = NULL;

	for (size_t i = 0; i < TINY_BLOCKS; i++) {
		void **block = make_block(9);

		*block = last;
		last = block;
	}
	kept[0] = last;
}

static void *
make_frame(void)
{
	void *frame;

	if (posix_memalign(&frame, 64, FRAME_BYTES) != 0)
		exit(1);
	memset(frame, 1, FRAME_BYTES);
	__asm__ volatile("" ::"r"(frame) : "memory");
	return frame;
}

static void
make_frames(void)
{
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	for (size_t i = 0; i < FRAMES; i++) {
		void *one = make_frame();
		void *other = make_frame();

		kept[i] = make_note(); /* the first one lies above both */
		free(one);
		free(other);
	}
}

static long
anonymous_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Anonymous: %ld kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024;
}

int
main(int argc, char **argv)
{
	const char *shape = argc > 1 ? argv[1] : "burst";
	pthread_t thread;
	long before;

	/* No buffer may be the block that keeps memory. */
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IONBF, 0);
	if (strcmp(shape, "burst") == 0)
		make_burst(NULL);
	else if (strcmp(shape, "tiny") == 0)
		make_tiny();
	else if (strcmp(shape, "frames") == 0)
		make_frames();
	else if (pthread_create(&thread, NULL, make_burst, NULL) != 0 ||
		 pthread_join(thread, NULL) != 0)
		return 1;
	puts("ready");
	while (getchar() != EOF)
		;
	before = anonymous_bytes();
	malloc_trim(0);
	printf("came back %ld\n", before - anonymous_bytes());
	return 0;
}
