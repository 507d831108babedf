#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1

#include "tools/top/top_screen.h"

#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

/* term.h has macros for what a terminal can do. */
#undef columns
#undef lines

#define FILTER_BYTES 80u
#define MOST_COLUMNS 1000u
#define KEY_ESCAPE 27
#define KEY_DELETE 127

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
/* signal(7): those that end no process, and those that ncurses sees to. */
static const int harmless[] = {SIGKILL,	 SIGSTOP, SIGCHLD, SIGCONT, SIGURG,
			       SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU};

static SCREEN *screen;
static struct vmt_top_look look;
static char typed[FILTER_BYTES]; /* the filter */
static bool is_typing;		 /* it, now */
static bool is_helping;
static bool has_utf8;
static size_t row_count;

static volatile sig_atomic_t ended_by; /* a signal; 0: none */
static bool is_caught[NSIG];
static struct termios at_first;
static char leave[256]; /* what a terminal is told when its screen is left */
static size_t leave_bytes;

static void
note_end(int signal)
{
	ended_by = signal;
}

/* In a signal's handler: the terminal as it was, without ncurses. */
static void
restore_and_die(int signal)
{
	ssize_t written = write(STDOUT_FILENO, leave, leave_bytes);

	(void)written;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &at_first);
	(void)raise(signal);
}

static bool
is_among(int number, const int *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* All that would end this process; not those that it was started to ignore, as under nohup. */
static void
catch_signals(void)
{
	struct sigaction end = {.sa_handler = note_end};
	struct sigaction crash = {.sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND};

	for (int number = 1; number < NSIG; number++) {
		struct sigaction before;
		bool ends = is_among(number, ending, sizeof(ending) / sizeof(*ending));

		is_caught[number] =
		    !is_among(number, harmless, sizeof(harmless) / sizeof(*harmless)) &&
		    sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN;
		if (is_caught[number])
			(void)sigaction(number, ends ? &end : &crash, NULL);
	}
}

static void
let_signals_go(void)
{
	for (int number = 1; number < NSIG; number++)
		if (is_caught[number])
			(void)signal(number, SIG_DFL);
}

static void
add_leave(const char *capability)
{
	const char *text = tigetstr(capability);
	size_t length = text && text != (const char *)-1 ? strlen(text) : 0;

	if (leave_bytes + length >= sizeof(leave))
		return;
	memcpy(leave + leave_bytes, text ? text : "", length);
	leave_bytes += length;
}

bool
vmt_top_screen_is_possible(void)
{
	const char *name = getenv("TERM");

	return name && *name && strcmp(name, "dumb") != 0 && isatty(STDIN_FILENO) &&
	       isatty(STDOUT_FILENO);
}

bool
vmt_top_screen_begin(bool utf8)
{
	if (tcgetattr(STDIN_FILENO, &at_first) < 0)
		return false;
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return false;
	if (!tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		vmt_top_screen_end();
		return false;
	}
	has_utf8 = utf8;
	leave_bytes = 0;
	add_leave("sgr0");
	add_leave("cnorm");
	add_leave("rmkx");
	add_leave("rmcup");
	catch_signals();
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)set_escdelay(25);
	(void)curs_set(0);
	return true;
}

void
vmt_top_screen_end(void)
{
	if (!screen)
		return;
	(void)endwin();
	delscreen(screen);
	screen = NULL;
	let_signals_go();
}

int
vmt_top_screen_signal(void)
{
	return ended_by;
}

void
vmt_top_screen_set(enum vmt_top_view view, enum vmt_top_order order, const char *wanted)
{
	look = (struct vmt_top_look){.view = view, .order = order, .filter = typed};
	strncpy(typed, wanted ? wanted : "", sizeof(typed) - 1);
}

bool
vmt_top_screen_is_paused(void)
{
	return look.is_paused;
}

struct place {
	int y;
};

static void
put_line(void *context, enum vmt_layout_style style, const char *text)
{
	static const attr_t attributes[] = {
	    [VMT_STYLE_PLAIN] = A_NORMAL,
	    [VMT_STYLE_TITLE] = A_BOLD,
	    [VMT_STYLE_DIM] = A_REVERSE,
	    [VMT_STYLE_ALARM] = A_BOLD,
	};
	struct place *place = context;

	(void)attrset((int)attributes[style]);
	(void)mvaddstr(place->y++, 0, text);
	(void)attrset(A_NORMAL);
}

static void
put_help(void)
{
	static const char *const lines[] = {
	    "RESIDENT  what of it is in RAM, at the last snapshot",
	    "GROWTH    by how much more than when this was opened",
	    "PER SECOND  between the last two snapshots",
	    "RESERVED  address space, in RAM or not",
	    "~         estimated from samples",
	    "",
	    "q         quit",
	    "c         classes, or call sites",
	    "s         sort by the next figure",
	    "/         filter: rows that have a text; empty: all",
	    "space     pause, go on",
	    "arrows, page up and down, home, end   scroll",
	    "?         this, and back",
	};

	for (int i = 0; i < (int)(sizeof(lines) / sizeof(*lines)); i++)
		(void)mvaddnstr(i, 0, lines[i], COLS);
}

static void
put_footer(void)
{
	static const char keys[] = "q quit  c classes  s sort  / filter  space pause  ? help";

	if (LINES < 4)
		return;
	(void)move(LINES - 1, 0);
	(void)clrtoeol();
	if (is_typing) {
		(void)addnstr("filter: ", COLS - 1);
		(void)addnstr(typed, COLS > 9 ? COLS - 9 : 0);
	} else {
		(void)addnstr(keys, COLS - 1);
	}
}

/* The last page is full. */
static void
keep_in_sight(void)
{
	size_t page = LINES > 5 ? (size_t)LINES - 5 : 1;
	size_t most = row_count > page ? row_count - page : 0;

	if (look.first_row > most)
		look.first_row = most;
}

void
vmt_top_screen_show(const struct vmt_top_table *table)
{
	size_t columns = COLS > 0 ? (size_t)COLS : 1;
	struct vmt_layout layout = {.columns = columns < MOST_COLUMNS ? columns : MOST_COLUMNS,
				    .utf8 = has_utf8};
	struct place place = {0};

	(void)erase();
	keep_in_sight();
	look.height = LINES > 4 ? (size_t)LINES - 1 : LINES > 0 ? (size_t)LINES : 1;
	if (is_helping)
		put_help();
	else
		row_count = vmt_top_text_write(table, &look, &layout, put_line, &place);
	if (row_count == SIZE_MAX)
		row_count = 0;
	put_footer();
	(void)refresh();
}

/* A character of what is typed; anything else ends it. */
static void
type(int key)
{
	size_t length = strlen(typed);

	if (key == KEY_ESCAPE)
		typed[0] = '\0';
	if (key == KEY_ESCAPE || key == '\n' || key == '\r' || key == KEY_ENTER) {
		is_typing = false;
		(void)curs_set(0);
	} else if ((key == KEY_BACKSPACE || key == KEY_DELETE || key == '\b') && length > 0) {
		typed[length - 1] = '\0';
	} else if (key >= ' ' && key < KEY_DELETE && length + 1 < sizeof(typed)) {
		typed[length] = (char)key;
		typed[length + 1] = '\0';
	}
	look.first_row = 0;
}

static void
scroll_by(long rows)
{
	if (rows < 0 && look.first_row < (size_t)-rows)
		look.first_row = 0;
	else
		look.first_row += (size_t)rows;
	keep_in_sight();
}

static void
move_rows(int key)
{
	long page = LINES > 6 ? LINES - 6 : 1;

	if (key == KEY_UP || key == 'k')
		scroll_by(-1);
	else if (key == KEY_DOWN || key == 'j')
		scroll_by(1);
	else if (key == KEY_PPAGE)
		scroll_by(-page);
	else if (key == KEY_NPAGE)
		scroll_by(page);
	else if (key == KEY_HOME)
		look.first_row = 0;
	else if (key == KEY_END)
		scroll_by((long)row_count);
}

static void
obey(int key)
{
	switch (key) {
	case 'c':
		if (look.view != VMT_TOP_PROCESSES)
			look.view = look.view == VMT_TOP_SITES ? VMT_TOP_CLASSES : VMT_TOP_SITES;
		look.first_row = 0;
		break;
	case 's':
		look.order = (look.order + 1) % VMT_TOP_ORDERS;
		look.first_row = 0;
		break;
	case ' ':
	case 'p':
		look.is_paused = !look.is_paused;
		break;
	case '/':
		is_typing = true;
		(void)curs_set(1);
		break;
	case '?':
	case 'h':
		is_helping = !is_helping;
		break;
	default:
		move_rows(key);
	}
}

/* Its window was closed, and nobody was told by a signal. */
static bool
is_terminal_gone(void)
{
	struct pollfd terminal = {.fd = STDIN_FILENO};

	return poll(&terminal, 1, 0) == 1 && (terminal.revents & (POLLHUP | POLLERR)) != 0;
}

enum vmt_top_screen_wish
vmt_top_screen_wait(int most_ms)
{
	int key;

	wtimeout(stdscr, most_ms);
	key = ended_by ? ERR : wgetch(stdscr);
	if (ended_by)
		return VMT_TOP_SCREEN_QUIT;
	if (key == ERR)
		return is_terminal_gone() ? VMT_TOP_SCREEN_QUIT : VMT_TOP_SCREEN_NOTHING;
	if (is_typing)
		type(key);
	else if (key == 'q' || key == 'Q')
		return VMT_TOP_SCREEN_QUIT;
	else
		obey(key);
	return VMT_TOP_SCREEN_SHOW;
}
