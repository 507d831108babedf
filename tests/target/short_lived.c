/*
 * Blocks that live long, and blocks that are freed at once, in two threads at a time; a block that
 * one thread allocates and the other frees. Says what is true of each function:
 *   FUNCTION BLOCKS TEMPORARY LIVE LIVE-BYTES
 * where TEMPORARY were freed, or given to realloc, by their thread before its next allocation.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHURNED 5000
#define PAIRS 300
#define LEAKED 400
#define KEPT 250 /* of these */
#define LEAKED_BYTES 1234
#define STEPS 20
#define HANDED 50

static char *leaked[LEAKED];
static char *handed;
static pthread_barrier_t turn;

/* The compiler may leave out a block that nobody looks at. */
static char *
use(char *block)
{
	if (!block)
		exit(1);
	__asm__ volatile("" : : "r"(block) : "memory");
	*block = 1;
	return block;
}

__attribute__((noinline)) static void
churn(void)
{
	for (int i = 0; i < CHURNED; i++)
		free(use(malloc((size_t)(16 + i % 900))));
}

/* The second of each pair is freed before anything is allocated, the first is not. */
__attribute__((noinline)) static void
pair(void)
{
	for (int i = 0; i < PAIRS; i++) {
		char *first = use(malloc(64));
		char *second = use(malloc(64));

		free(first);
		free(second);
	}
}

__attribute__((noinline)) static void
leak(void)
{
	for (int i = 0; i < LEAKED; i++)
		leaked[i] = use(malloc(LEAKED_BYTES));
	for (int i = KEPT; i < LEAKED; i++)
		free(leaked[i]);
}

/* Each block is given to the next realloc. */
__attribute__((noinline)) static void
grow(void)
{
	char *block = NULL;

	for (size_t i = 1; i <= STEPS; i++)
		block = use(realloc(block, 100 * i));
	free(block);
}

/* Allocated here and freed by the other thread, in turns. */
__attribute__((noinline)) static void
hand_over(void)
{
	for (int i = 0; i < HANDED; i++) {
		handed = use(malloc(512));
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
	}
}

static void *
other(void *unused)
{
	for (int i = 0; i < HANDED; i++) {
		pthread_barrier_wait(&turn);
		free(handed);
		pthread_barrier_wait(&turn);
	}
	churn();
	return unused;
}

int
main(void)
{
	pthread_t thread;

	pthread_barrier_init(&turn, NULL, 2);
	if (pthread_create(&thread, NULL, other, NULL))
		return 1;
	hand_over();
	churn();
	pair();
	leak();
	grow();
	pthread_join(thread, NULL);
	/* The last of the blocks that leak frees is freed after its last allocation. */
	printf("churn %d %d 0 0\n", 2 * CHURNED, 2 * CHURNED);
	printf("pair %d %d 0 0\n", 2 * PAIRS, PAIRS);
	printf("leak %d 1 %d %d\n", LEAKED, KEPT, KEPT * LEAKED_BYTES);
	printf("grow %d %d 0 0\n", STEPS, STEPS);
	printf("hand_over %d 0 0 0\n", HANDED);
	return 0;
}
