import { QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { TaskProgress } from './TaskProgress';
import { connect, TRPCProvider } from './trpc';

const asked = new URLSearchParams(window.location.search);
const taskId = asked.get('task') ?? 'task-123';
const clients = connect(asked.get('hub') ?? 'ws://localhost:3001');

createRoot(document.getElementById('root')!).render(
  <QueryClientProvider client={clients.queryClient}>
    <TRPCProvider {...clients}>
      <TaskProgress key={taskId} taskId={taskId} />
    </TRPCProvider>
  </QueryClientProvider>,
);
