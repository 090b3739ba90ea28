export function drawCharts(_folder: string, _report: object) {}
