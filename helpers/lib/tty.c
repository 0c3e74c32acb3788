#include "lib/tty.h"

#include <termios.h>

static int raw;
static struct termios before;

void tty_raw(void)
{
    struct termios mode;
    if (raw ? tcgetattr(0, &mode) < 0 : tcgetattr(0, &before) < 0)
        return;
    mode = before;
    cfmakeraw(&mode);
    raw = tcsetattr(0, TCSADRAIN, &mode) == 0;
}

void tty_restore(void)
{
    if (raw)
        tcsetattr(0, TCSADRAIN, &before);
    raw = 0;
}
