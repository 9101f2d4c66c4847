export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const KEY = 'layerd-theme'

/** What was chosen stays in this browser; without a choice it is as the system has it. */
class ThemeChoice {
  chosen = $state<Theme>(kept())

  constructor() {
    show(this.chosen)
  }

  choose(theme: Theme): void {
    this.chosen = theme
    show(theme)
    try {
      localStorage.setItem(KEY, theme)
    } catch {
      // a browser that keeps nothing
    }
  }
}

function kept(): Theme {
  try {
    const theme = localStorage.getItem(KEY)
    return THEMES.find((one) => one === theme) ?? 'system'
  } catch {
    return 'system'
  }
}

function show(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}

export const theme = new ThemeChoice()
