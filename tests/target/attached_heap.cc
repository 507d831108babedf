// A C++ program that is recorded while it runs: each byte of its input makes it keep so many blocks
// of 1000 bytes, one by one, and answer with the byte; 255 makes it give all of them back. Other
// threads allocate, write, check and free all the while, by malloc's functions and by operator new.
// A byte of a block that is not what was written ends it with 9. At the end of the input it exits
// with 7.
//
// Arguments: how many other threads; "handler": they are interrupted all the while, by a handler on
// a stack of its own; "short": each lives for some blocks, and another takes its place.
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

constexpr size_t KEPT_BYTES = 1000;
constexpr int ROUND = 300; // blocks of a thread that is short
std::atomic<bool> is_over{false};
std::atomic<long> interruptions{0};

std::vector<unsigned char *> kept;

void
check(const unsigned char *block, size_t bytes, unsigned char value)
{
	for (size_t i = 0; i < bytes; i++)
		if (block[i] != value)
			_exit(9);
}

__attribute__((noinline)) void
keep(int count)
{
	for (int i = 0; i < count; i++) {
		auto *block = static_cast<unsigned char *>(malloc(KEPT_BYTES));

		if (!block)
			_exit(8);
		memset(block, 0x5a, KEPT_BYTES);
		kept.push_back(block);
	}
}

__attribute__((noinline)) void
give_back()
{
	for (unsigned char *block : kept) {
		check(block, KEPT_BYTES, 0x5a);
		free(block);
	}
	kept.clear();
}

// Two blocks of each kind at a time.
__attribute__((noinline)) void
churn_once(uint32_t *random, unsigned char value)
{
	*random = *random * 1664525 + 1013904223;
	size_t bytes = *random >> 20;
	auto *one = static_cast<unsigned char *>(malloc(bytes));
	auto *other = new unsigned char[bytes + 1];
	auto *third = static_cast<unsigned char *>(calloc(bytes, 2));

	memset(one, value, bytes);
	memset(other, value, bytes);
	check(third, 2 * bytes, 0);
	one = static_cast<unsigned char *>(realloc(one, bytes * 2 + 1));
	check(one, bytes, value);
	check(other, bytes, value);
	free(one);
	delete[] other;
	free(third);
}

void
churn(int number, int rounds)
{
	uint32_t random = static_cast<uint32_t>(number) * 7919 + 1;

	for (int i = 0; rounds != 0 ? i < rounds : !is_over; i++)
		churn_once(&random, static_cast<unsigned char>(number));
}

void
note(int)
{
	interruptions++;
}

void
interrupt_all()
{
	struct sigaction action = {};

	action.sa_handler = note;
	action.sa_flags = SA_ONSTACK | SA_RESTART;
	sigaction(SIGUSR1, &action, nullptr);
}

void
run_thread(int number, bool is_interrupted, bool is_short)
{
	static constexpr size_t STACK_BYTES = 65536;
	std::vector<char> own(STACK_BYTES);
	stack_t stack = {};

	stack.ss_sp = own.data();
	stack.ss_size = own.size();
	if (is_interrupted)
		sigaltstack(&stack, nullptr);
	if (!is_short) {
		churn(number, 0);
	} else {
		while (!is_over)
			std::thread(churn, number, ROUND).join();
	}
	stack.ss_flags = SS_DISABLE;
	if (is_interrupted)
		sigaltstack(&stack, nullptr);
}

} // namespace

int
main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0;
	bool is_interrupted = argc > 2 && strcmp(argv[2], "handler") == 0;
	bool is_short = argc > 2 && strcmp(argv[2], "short") == 0;
	std::vector<std::thread> threads;
	std::thread interrupter;
	unsigned char byte;

	interrupt_all();
	kept.reserve(100000);
	for (int i = 0; i < count; i++)
		threads.emplace_back(run_thread, i, is_interrupted, is_short);
	if (is_interrupted)
		interrupter = std::thread([&threads] {
			while (!is_over)
				for (std::thread &thread : threads) {
					pthread_kill(thread.native_handle(), SIGUSR1);
					usleep(50);
				}
		});
	while (read(0, &byte, 1) == 1) {
		if (byte == 255)
			give_back();
		else
			keep(byte);
		if (write(1, &byte, 1) != 1)
			_exit(8);
	}
	is_over = true;
	if (is_interrupted)
		interrupter.join();
	for (std::thread &thread : threads)
		thread.join();
	give_back();
	return 7;
}
