#!/bin/sh
# How long a report takes that looks up names in a large C++ program with debug information.
# Usage: bench/symbols.sh BUILD [PARTS [DIRECTORY]]; PARTS: 26 make a program of 300 MB, and take 5 minutes.
build=$(realpath "$1") || exit 1
parts=${2:-26}
directory=${3:-$(mktemp -d)}
mkdir -p "$directory" && cd "$directory" || exit 1

write_part() { # NUMBER
	printf '#include <%s>\n' algorithm cstdlib cstring functional future iostream map memory random regex set string \
		thread unordered_map variant vector
	echo "namespace part$1 {"
	for k in $(seq 0 39); do
		cat <<-END
			struct record$k { std::string name; std::map<std::string, std::vector<int>> rows;
			  std::unordered_map<int, std::shared_ptr<record$k>> children; int value[$((k + 1))]; };
			static std::vector<std::unique_ptr<record$k>> kept$k;
			__attribute__((noinline)) void *take$k(size_t bytes) {
			  void *p = malloc(bytes + 64); memset(p, 1, 64); return p; }
			__attribute__((noinline)) void store$k(int n) {
			  auto r = std::make_unique<record$k>(); r->name = std::to_string(n);
			  r->rows[r->name].resize(n); r->children[n] = std::make_shared<record$k>();
			  kept$k.push_back(std::move(r));
			  std::sort(kept$k.begin(), kept$k.end(),
			    [](const auto &a, const auto &b) { return a->name < b->name; });
			  free(take$k(70000 + n)); take$k(70000 + n); }
		END
	done
	echo "bool matches(const std::string &text) {"
	echo "  static const std::regex r(\"part$1[0-9]+(a|b)*\"); return std::regex_search(text, r); }"
	echo "void run(int n) { if (matches(\"x\")) return; switch (n) {"
	for k in $(seq 0 39); do echo "case $k: store$k(n); break;"; done
	echo "} } }"
}

if [ ! -x big ]; then
	for part in $(seq "$parts"); do
		write_part "$part" >"part$part.cc"
		g++ -std=c++17 -g $([ $((part % 4)) = 0 ] && echo -O2 || echo -O0) -c "part$part.cc" || exit 1
		echo "namespace part$part { void run(int n); }"
	done >main.cc
	{
		echo 'int main() { for (int k = 0; k < 40; k++) {'
		for part in $(seq "$parts"); do echo "part$part::run(k);"; done
		echo '} }'
	} >>main.cc
	g++ -g main.cc part*.o -o big || exit 1
fi
for malloc in sampled all; do
	"$build/vmtrace" record --malloc "$malloc" -o "$malloc.vmt" -- ./big 2>/dev/null || exit 1
	for round in 1 2 3; do
		start=$(awk '{ print $1 }' /proc/uptime)
		"$build/vmtrace" report --format json "$malloc.vmt" >report.json || exit 1
		end=$(awk '{ print $1 }' /proc/uptime)
		echo "$malloc: $(grep -o '"module_offset": *"[^"]*' report.json | sort -u | wc -l) addresses," \
			"$(stat -c %s big) bytes of program, $(echo "$end $start" | awk '{ printf "%.2f", $1 - $2 }') s"
	done
done
