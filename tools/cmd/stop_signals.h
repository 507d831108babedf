/*
 * stop_signals.h: INT, TERM and HUP as the wish to come to an end.
 *
 * Not those that vmtrace was started to ignore, as under nohup. One user a process: signal handlers
 * are global.
 */
#ifndef VMT_STOP_SIGNALS_H
#define VMT_STOP_SIGNALS_H

#include <stdbool.h>

void vmt_stop_signals_catch(void);

/* From then on they end vmtrace at once. */
void vmt_stop_signals_let_go(void);

/* Whether one came. */
bool vmt_stop_signals_came(void);

/* Which of them a user may send, as the end of a sentence. */
const char *vmt_stop_signals_hint(void);

#endif
