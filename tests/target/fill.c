/*
 * Takes all the memory that its limits leave it: fill THREADS [KIB]
 *
 * Once all threads are there, each maps pieces of KIB (default 1024) until that fails, makes and
 * frees blocks meanwhile,
 * and a third of the pieces are blocks of malloc. Prints how many pieces there are in all, then
 * whether a thread and a fork child can still be made once all pieces are given back. The pieces
 * are touched at their first byte alone.
 */
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 16
#define PIECES_MAX 65536

static size_t piece_bytes = 1 << 20;
static pthread_barrier_t start;

struct share {
	pthread_t thread;
	void *pieces[PIECES_MAX / THREADS_MAX];
	size_t count;
};

static void *
take_piece(size_t number)
{
	void *piece;

	if (number % 3 == 2)
		return malloc(piece_bytes);
	piece = mmap(NULL, piece_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return piece == MAP_FAILED ? NULL : piece;
}

static void *
fill(void *argument)
{
	struct share *share = argument;

	pthread_barrier_wait(&start);
	while (share->count < PIECES_MAX / THREADS_MAX) {
		void *volatile block = malloc(100 + share->count % 5000);
		char *piece = take_piece(share->count);

		free(block);
		if (piece == NULL) {
			if (errno != ENOMEM)
				truth_die("piece");
			break;
		}
		*piece = 1;
		share->pieces[share->count++] = piece;
	}
	return NULL;
}

static size_t
give_back(struct share *share)
{
	for (size_t i = 0; i < share->count; i++) {
		if (i % 3 == 2)
			free(share->pieces[i]);
		else
			munmap(share->pieces[i], piece_bytes);
	}
	return share->count;
}

static void *
nothing(void *argument)
{
	return argument;
}

static void
try_the_rest(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, nothing, NULL);
	int status = -1;
	pid_t child;

	if (error == 0)
		error = pthread_join(thread, NULL);
	printf("thread %s\n", error == 0 ? "made" : "refused");
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(7);
	if (child > 0)
		waitpid(child, &status, 0);
	printf("child %s\n", WIFEXITED(status) && WEXITSTATUS(status) == 7 ? "made" : "refused");
}

int
main(int argc, char **argv)
{
	static struct share shares[THREADS_MAX];
	int threads = argc > 1 ? atoi(argv[1]) : 1;
	size_t pieces = 0;

	if (argc > 2)
		piece_bytes = (size_t)atoi(argv[2]) << 10;
	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	pthread_barrier_init(&start, NULL, (unsigned)threads);
	for (int i = 1; i < threads; i++)
		if (pthread_create(&shares[i].thread, NULL, fill, &shares[i]) != 0)
			truth_die("pthread_create");
	fill(&shares[0]);
	for (int i = 1; i < threads; i++)
		pthread_join(shares[i].thread, NULL);
	for (int i = 0; i < threads; i++)
		pieces += give_back(&shares[i]);
	printf("pieces %zu\n", pieces);
	try_the_rest();
	return 0;
}
