// Touches fresh memory from C++: cxx_touch vector|exception PAGES. It says "ready", reads a line,
// touches, and says where the memory lies and which function touched it.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone, aligned(256)))

static char *memory;
static size_t bytes;
static volatile unsigned sink;

// Memory that is there but once, however often a vector grows. Where bytes and the vector's last
// size are powers of two all of it gets used.
template <typename T> struct from_memory {
	using value_type = T;

	from_memory() = default;
	template <typename U> from_memory(const from_memory<U> &)
	{
	}
	T *
	allocate(size_t count)
	{
		static size_t used;
		size_t at = used;

		used += count * sizeof(T);
		if (used > bytes)
			std::abort();
		return reinterpret_cast<T *>(memory + at);
	}
	void
	deallocate(T *, size_t)
	{
	}
	bool
	operator==(const from_memory &) const
	{
		return true;
	}
	bool
	operator!=(const from_memory &) const
	{
		return false;
	}
};

APART static void
grow_vector()
{
	std::vector<long, from_memory<long>> numbers;

	for (size_t i = 0; i < bytes / 2 / sizeof(long); i++)
		numbers.push_back(static_cast<long>(i));
	sink = sink + static_cast<unsigned>(numbers.size());
}

APART static void
fill_all()
{
	std::memset(memory, 1, bytes);
	sink = sink + 1;
}

struct guard {
	~guard()
	{
		fill_all();
	}
};

__attribute__((noinline, noclone)) static void
throw_through(unsigned depth)
{
	if (depth == 0) {
		guard on_the_way;

		if (sink < 1000)
			throw std::runtime_error("on purpose");
	}
	throw_through(depth - 1);
	sink = sink + 1;
}

__attribute__((noinline, noclone)) static void
catch_one()
{
	try {
		throw_through(3);
	} catch (const std::runtime_error &) {
		sink = sink + 1;
	}
}

APART static void
touch_all(bool is_vector)
{
	is_vector ? grow_vector() : catch_one();
	sink = sink + 1;
}

int
main(int argc, char **argv)
{
	bool is_vector = argc > 1 && std::strcmp(argv[1], "vector") == 0;
	void (*toucher)() = is_vector ? grow_vector : fill_all;
	char end;

	bytes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) * 4096 : 4096;
	memory = static_cast<char *>(
	    mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	std::puts("ready");
	std::fflush(stdout);
	if (memory == MAP_FAILED || read(0, &end, 1) != 1)
		return 1;
	touch_all(is_vector);
	std::printf("{\"figures\":{\"toucher_at\":%llu,\"main_at\":%llu,\"memory_at\":%llu,"
		    "\"memory_bytes\":%zu}}\n",
		    reinterpret_cast<unsigned long long>(toucher),
		    reinterpret_cast<unsigned long long>(touch_all),
		    reinterpret_cast<unsigned long long>(memory), bytes);
	std::fflush(stdout);
	return read(0, &end, 1) == 0 ? 0 : 1;
}
