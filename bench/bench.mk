# The bench's own programs. Run by `make bench`.
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
ROUNDS ?= 5

bench: $(BUILD)/bench/bench $(BUILD)/bench/pair $(BUILD)/libforward.so
	$(BUILD)/bench/bench $(abspath $(BUILD)) $(ROUNDS)
	bench/go.sh $(BUILD) $(ROUNDS)

$(BUILD)/bench/%: bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -Wall -Wextra $< -o $@ -lpthread

$(BUILD)/libforward.so: bench/forward.c
	$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -shared -fPIC $< -o $@ -ldl

.PHONY: bench
