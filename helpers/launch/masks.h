#include "launch/plan.h"
