// program/api/, which comes before every program, has the contents.
#pragma once
