// A C++ program with threads: vectors, maps, strings, exceptions; what it prints depends on nothing
// but its work.
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct record {
	std::string name;
	std::vector<int> values;
};

std::atomic<long> caught{0};

__attribute__((noinline)) std::unique_ptr<record>
make_record(int number)
{
	auto made = std::make_unique<record>();

	made->name = "record number " + std::to_string(number);
	made->values.assign(static_cast<size_t>(number % 50 + 1), number);
	if (number % 1000 == 999)
		throw std::runtime_error(made->name);
	return made;
}

__attribute__((noinline)) long
fill(int first, int last)
{
	std::map<int, std::unique_ptr<record>> records;
	long sum = 0;

	for (int number = first; number < last; number++) {
		try {
			records.emplace(number, make_record(number));
		} catch (const std::runtime_error &) {
			caught++;
		}
		if (number % 3 == 0)
			records.erase(number - 30);
	}
	for (const auto &entry : records)
		sum += static_cast<long>(entry.second->values.size());
	return sum;
}

} // namespace

int
main()
{
	constexpr int threads = 4;
	constexpr int share = 20000;
	std::vector<std::vector<long>> kept;
	std::vector<std::thread> workers;
	std::vector<long> sums(threads);
	long total = 0;

	for (int i = 0; i < threads; i++)
		workers.emplace_back([i, &sums] { sums[i] = fill(i * share, (i + 1) * share); });
	for (auto &worker : workers)
		worker.join();
	for (int i = 0; i < 64; i++)
		kept.emplace_back(16384, i);
	for (long sum : sums)
		total += sum;
	std::printf("sum %ld caught %ld kept %zu\n", total, caught.load(), kept.size());
	return 0;
}
