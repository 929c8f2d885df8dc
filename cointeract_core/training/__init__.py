"""What training needs besides the model: token masks, router targets, noise levels."""
